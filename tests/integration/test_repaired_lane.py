"""A lane whose ids are ahead of time, and its repair: each document keeps its newest version and gets one outcome."""

import time

import pytest
from sqlalchemy import select

from worker.documents.limits import Limits
from worker.jobs import lane_repair
from worker.pipeline import Batch, process
from worker.queue.lease_queue import LeaseQueue
from worker.runtime.batch_report import receipt_of
from worker.store.tables import articles, receipts

LANE = "documents"


@pytest.fixture
def queue(redis_client):
    queue = LeaseQueue(redis_client, LANE)
    queue.ensure()
    return queue


def document(title):
    return {"raw": f"---\ntitle: {title}\nwebUrl: https://repaired.example/1\n---\n", "source": "s", "key": "1"}


def add(queue, fields, *, ahead_seconds=None):
    id_ = "*" if ahead_seconds is None else f"{int((time.time() + ahead_seconds) * 1000)}-0"
    return queue.client.xadd(LANE, fields, id=id_).decode()


def claim(queue, worker, limit=10):
    """Take what waits for a worker."""
    ids = [id_ for id_, _ in queue.dispatch(limit=limit, pending_cap=100, max_bytes=1 << 20).entries]
    return queue.claim(worker, ids, lease_seconds=60, max_bytes=1 << 20)


def store(engine, queue, entries):
    versions = process(
        engine, Batch(queue.lane, None, "w", 3, Limits(), clock=queue.clock), entries, end_attempt=lambda: None
    )
    queue.settle((version.id, str(version.outcome)) for version in versions)
    return versions


def titles(engine):
    with engine.connect() as connection:
        return set(connection.scalars(select(articles.c.title).where(articles.c.orphaned_at.is_(None))))


@pytest.mark.parametrize(
    "newer", [document("new"), {"op": "retract", "source": "s", "key": "1"}], ids=["update", "retraction"]
)
def test_an_older_version_that_was_pending_does_not_replace_a_newer_one(engine, queue, newer):
    add(queue, document("old"))
    claim(queue, "dies")
    add(queue, newer)
    store(engine, queue, claim(queue, "w"))
    before = titles(engine)
    add(queue, {"raw": "x"}, ahead_seconds=3 * 86_400)

    assert lane_repair.repair(queue).readded == 2
    assert lane_repair.fault(queue.state(), lane_repair.server_ms(queue.client)) is None
    outcomes = [str(version.outcome) for version in store(engine, queue, claim(queue, "w"))]

    assert outcomes == ["superseded", "rejected"]
    assert titles(engine) == before
    assert not queue.client.exists("copydesk:order:documents"), "settled entries need no order"


@pytest.mark.parametrize(
    "is_old_first", [True, False], ids=["the old id is stored first", "the new id is stored first"]
)
def test_an_entry_in_a_workers_hands_has_one_receipt_under_the_id_that_its_crawler_knows(engine, queue, is_old_first):
    known, bad = add(queue, document("one")), add(queue, {"raw": "no document"})
    held = claim(queue, "holds it")
    add(queue, {"raw": "x"}, ahead_seconds=3 * 86_400)
    lane_repair.repair(queue)
    again = claim(queue, "w")

    for entries in [held, again] if is_old_first else [again, held]:
        versions = store(engine, queue, entries)
        assert [str(version.outcome) for version in versions[:2]] == ["stored", "rejected"]
        assert receipt_of(versions[0], "w", queue.clock()).id == known

    with engine.connect() as connection:
        assert set(connection.scalars(select(receipts.c.id))) >= {known, bad}
        assert len(connection.execute(select(receipts)).all()) == 3
    state = queue.state()
    assert (state.added, state.settled, state.backlog) == (6, 6, 0)


def test_a_repaired_entry_whose_first_id_another_document_has_gets_a_receipt_of_its_own(engine, queue):
    first = add(queue, document("first"))
    store(engine, queue, claim(queue, "w"))
    queue.client.delete(LANE)
    queue.ensure()
    queue.client.xadd(LANE, {**document("second"), "key": "2"}, id=first)
    add(queue, {"raw": "x"}, ahead_seconds=3 * 86_400)
    lane_repair.repair(queue)

    versions = store(engine, queue, claim(queue, "w"))

    assert [(version.id_conflict, str(version.outcome)) for version in versions] == [
        (False, "stored"),
        (False, "rejected"),
    ]
    assert versions[0].receipt_id == versions[0].id


@pytest.mark.parametrize("is_repaired", [False, True], ids=["as it is", "repaired between them"])
def test_versions_on_a_lane_that_is_ahead_keep_their_order_whichever_is_processed_first(engine, queue, is_repaired):
    add(queue, {"raw": "x"}, ahead_seconds=86_000)
    store(engine, queue, claim(queue, "w"))
    add(queue, document("old"))
    add(queue, document("new"))
    old, new = claim(queue, "slow", limit=1), claim(queue, "w", limit=1)
    store(engine, queue, new)
    if is_repaired:
        lane_repair.repair(queue)
        old = claim(queue, "w")

    assert [str(version.outcome) for version in store(engine, queue, old)] == ["superseded"]
    assert titles(engine) == {"new"}


@pytest.mark.parametrize(
    "newer", [document("new"), {"op": "retract", "source": "s", "key": "1"}], ids=["update", "retraction"]
)
def test_what_comes_later_on_another_lane_is_newer_than_a_document_of_a_lane_that_is_ahead(engine, queue, newer):
    add(queue, {"raw": "x"}, ahead_seconds=86_000)
    add(queue, document("old"))
    versions = store(engine, queue, claim(queue, "w"))
    assert all(abs(version.received_at.timestamp() - time.time()) < 60 for version in versions)
    other = LeaseQueue(queue.client, "documents:other")
    other.ensure()
    queue.client.xadd(other.lane, newer)

    [version] = store(engine, other, claim(other, "w"))

    assert str(version.outcome) == ("retracted" if "op" in newer else "updated")


def test_a_document_that_a_lane_ahead_of_time_does_not_settle_grows_old(queue):
    add(queue, document("stuck"), ahead_seconds=86_000)
    claim(queue, "hangs")
    time.sleep(0.05)
    for oldest in (queue.state().oldest_id, queue.counts().oldest_id):
        assert 50 <= lane_repair.server_ms(queue.client) - int(oldest.split("-")[0]) < 60_000
