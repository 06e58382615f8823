"""The clock of Redis was ahead for a moment: what comes afterwards is newer than what was stored meanwhile."""

from __future__ import annotations

import time

import pytest
from redis import ResponseError
from sqlalchemy import select

from tests.faults.registry import Unavailable, faketime
from tests.support.servers import Valkey, until
from worker.documents.limits import Limits
from worker.jobs import lane_repair
from worker.pipeline import Batch, process
from worker.queue import keys
from worker.queue.lease_queue import LeaseQueue
from worker.store.receipts import highest_id
from worker.store.tables import articles, receipts

HOUR = 3600


class Lanes:
    """Two lanes on a Redis whose clock is set by `step`, with workers of this process."""

    def __init__(self, valkey, client, clock, engine):
        self.client, self.engine = client, engine
        self._valkey, self._clock = valkey, clock
        self.documents, self.other = LeaseQueue(client, "documents"), LeaseQueue(client, "documents:other")
        for queue in (self.documents, self.other):
            queue.ensure()

    def step(self, offset):
        new = self._clock.with_suffix(".new")
        new.write_text(f"{offset:+d}\n")
        new.replace(self._clock)
        until(lambda: abs(self.client.time()[0] - time.time() - offset) < 60, what="the clock has stepped")

    def send(self, title, *, queue=None, key="1"):
        """Add a version, or a retraction if it has no title."""
        raw = f"---\ntitle: {title}\nwebUrl: https://clock.example/{key}\n---\n"
        fields = {"raw": raw} if title else {"op": "retract"}
        return self.client.xadd((queue or self.documents).lane, {**fields, "source": "s", "key": key}).decode()

    def claim(self, queue=None, limit=10):
        queue = queue or self.documents
        ids = [id_ for id_, _ in queue.dispatch(limit=limit, pending_cap=100, max_bytes=1 << 20).entries]
        return queue.claim("w", ids, lease_seconds=60, max_bytes=1 << 20)

    def store(self, entries=None, queue=None):
        queue = queue or self.documents
        entries = self.claim(queue) if entries is None else entries
        batch = Batch(queue.lane, None, "w", 3, Limits(), clock=queue.clock)
        versions = process(self.engine, batch, entries, end_attempt=lambda: None)
        queue.settle((version.id, str(version.outcome)) for version in versions)
        return [str(version.outcome) for version in versions]

    def titles(self):
        with self.engine.connect() as connection:
            shown = select(articles.c.title).where(articles.c.orphaned_at.is_(None)).order_by(articles.c.title)
            return list(connection.scalars(shown))


@pytest.fixture
def lanes(engine, tmp_path):
    clock = tmp_path / "clock"
    try:
        environment = faketime(clock)
    except Unavailable as why:
        pytest.skip(str(why))
    valkey = Valkey()
    valkey.environment = environment | {"FAKETIME_NO_CACHE": "1"}  # else each step takes a second or two
    valkey.start()
    with valkey.client() as client:
        yield Lanes(valkey, client, clock, engine)
    valkey.kill()  # a signal that it handles may find it in libfaketime, whose lock it then needs again
    valkey.stop()


@pytest.mark.parametrize("is_repaired", [False, True], ids=["as it is", "repaired"])
@pytest.mark.parametrize("is_other", [False, True], ids=["same lane", "another lane"])
def test_updates_and_retractions_after_the_clock_was_set_back_are_newer(lanes, is_repaired, is_other):
    lanes.step(72 * HOUR)
    lanes.send("ahead")
    lanes.send("ahead", key="2")
    assert lanes.store() == ["stored", "stored"]
    lanes.step(0)
    if is_repaired:
        lane_repair.repair(lanes.documents)
    queue = lanes.other if is_other else lanes.documents

    lanes.send("first", queue=queue)
    lanes.send("", queue=queue, key="2")
    assert lanes.store(queue=queue) == ["updated", "retracted"]
    lanes.send("second", queue=queue)
    assert lanes.store(queue=queue) == ["updated"]
    assert lanes.titles() == ["second"]
    with lanes.engine.connect() as connection:
        times = connection.scalars(select(receipts.c.received_at).order_by(receipts.c.received_at)).all()
    assert all(abs(moment.timestamp() - time.time()) < 60 for moment in times[:3]), "those after the step have its time"


@pytest.mark.parametrize("is_repaired", [False, True], ids=["as it is", "repaired"])
@pytest.mark.parametrize("hours", [72, 1])
def test_what_was_being_processed_when_the_clock_was_set_back_stays_older(lanes, hours, is_repaired):
    lanes.step(hours * HOUR)
    lanes.send("old")
    old = lanes.claim()
    lanes.send("new")
    assert lanes.store() == ["stored"]
    lanes.step(0)
    if is_repaired:
        assert lane_repair.repair(lanes.documents).readded == 1
        old = lanes.claim()

    assert lanes.store(old) == ["superseded"]
    assert lanes.titles() == ["new"]


def test_a_repair_after_the_clock_was_set_back_keeps_the_order_of_the_lane(lanes):
    lanes.step(72 * HOUR)
    lanes.send("ahead", queue=lanes.other, key="other")
    assert lanes.store(queue=lanes.other) == ["stored"]
    lanes.step(0)
    lanes.send("first")
    assert len(lanes.claim()) == 1, "a worker holds it when the lane is repaired"
    lanes.send("second")
    lanes.client.xadd("documents", {"op": "retract", "source": "s", "key": "9"}, id=f"{int(time.time() + HOUR)}000-0")

    assert lane_repair.repair(lanes.documents).readded == 3
    assert lanes.store() == ["stored", "updated", "retracted"]
    assert lanes.titles() == ["ahead", "second"]


@pytest.mark.parametrize("value", ["99999999999999999999-1", "32503680000000-0 back", "junk"])
def test_a_newest_id_of_another_program_counts_as_none(lanes, value):
    lanes.client.set(keys.NEWEST, value)
    lanes.send("new")
    assert lanes.store() == ["stored"]
    assert not lanes.client.exists(keys.order_ids("documents"))
    assert int(lanes.client.get(keys.NEWEST).split(b"-")[0]) < (time.time() + HOUR) * 1000


def test_an_order_of_another_program_does_not_hold_up_an_entry(lanes):
    id_ = lanes.send("new")
    lanes.client.hset(keys.order_ids("documents"), id_, "18446744073709551615-1")
    assert lanes.store() == ["stored"]


def test_nothing_is_dispatched_without_its_order_while_its_key_holds_something_else(lanes):
    lanes.send("old")
    assert lanes.store() == ["stored"]
    lanes.client.set(keys.order_ids("documents"), "junk")
    lanes.step(-HOUR)
    lanes.send("newer")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        lanes.claim()
    lanes.client.delete(keys.order_ids("documents"))
    assert lanes.store() == ["updated"]


def test_an_entry_that_is_gone_leaves_no_order(lanes):
    lanes.step(72 * HOUR)
    lanes.send("ahead")
    lanes.store()
    lanes.step(0)
    ids = [lanes.send(f"t{n}") for n in range(2)]
    found = [id_ for id_, _ in lanes.documents.dispatch(limit=10, pending_cap=100, max_bytes=1 << 20).entries]
    assert found == ids
    lanes.client.xdel("documents", ids[0])
    lanes.documents.claim("w", ids[:1], lease_seconds=60, max_bytes=1 << 20)
    lanes.documents.requeue(ids[1])
    assert lanes.client.hgetall(keys.order_ids("documents")) == {}


def test_after_the_clock_was_behind_for_a_moment_versions_keep_their_order(lanes):
    lanes.send("old")
    old = lanes.claim()
    lanes.send("stored")
    assert lanes.store() == ["stored"]
    lanes.step(-HOUR)
    lanes.send("behind")
    assert lanes.store() == ["updated"]
    lanes.step(0)
    lanes.send("right again")

    assert lanes.store() == ["updated"]
    assert lanes.store(old) == ["superseded"]
    assert lanes.client.get(keys.NEWEST).endswith(b"-0"), "its clock is not behind any more"


def test_a_server_that_lost_its_data_learns_the_order_from_the_store(lanes):
    lanes.step(72 * HOUR)
    lanes.send("ahead")
    assert lanes.store() == ["stored"]
    lanes.step(0)
    lanes.client.flushall()
    lanes.documents.ensure()
    with lanes.engine.connect() as connection:
        known = highest_id(connection, "documents")

    assert not lanes.documents.advance(known), "or the lane would be ahead of time"
    lanes.send("new")
    assert lanes.store() == ["updated"]
    assert lane_repair.fault(lanes.documents.state(), lane_repair.server_ms(lanes.client)) is None
