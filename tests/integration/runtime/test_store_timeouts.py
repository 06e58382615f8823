"""A document on which the store times out again and again, while it stores others, becomes a dead letter that says so."""

from __future__ import annotations

import contextlib

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from tests.support.runtime_hooks import article
from worker.queue import keys
from worker.queue.store_timeouts import StoreTimeouts
from worker.runtime import connections, ingestion, tasks
from worker.runtime.dispatch.reaper import Reaper
from worker.runtime.dispatch.request import StoreUnusable
from worker.store.dead_letters import Filter, find


@pytest.fixture
def queue(own_worker, monkeypatch):
    """A lane, with this process as its worker; storing a document with the key `slow` times out."""
    original = ingestion.process

    def process(engine, batch, entries, **options):
        if batch.verdict is None and any(entry.fields[b"key"] == b"slow" for entry in entries):
            raise OperationalError("", None, psycopg.errors.QueryCanceled("as by statement_timeout"))
        return original(engine, batch, entries, **options)

    monkeypatch.setattr(ingestion, "process", process)
    return own_worker


def push(queue, key):
    id_ = queue.client.xadd("documents", {"raw": article(1), "key": key}).decode()
    queue.dispatch(limit=100, pending_cap=100, max_bytes=1 << 20)
    return id_


def try_to_store(queue, id_):
    """Process one entry as a claim check asks for it, when its lease has ended."""
    queue.reap(lease_seconds=0, whole=True)
    tasks.ingest("documents", [id_])


def dead_letters():
    with connections.engine().connect() as connection:
        return find(connection, Filter())


def test_it_is_tried_three_times_while_others_are_stored(queue):
    slow = push(queue, "slow")
    for tries in range(3):
        assert dead_letters() == []
        if tries < 2:
            with pytest.raises(StoreUnusable):
                try_to_store(queue, slow)
            try_to_store(queue, push(queue, f"other {tries}"))
        else:
            try_to_store(queue, slow)
    [dead_letter] = dead_letters()
    assert dead_letter.receipt_id == slow
    assert "time limit 3 times, while other documents were stored" in dead_letter.problems[0]["message"]
    assert queue.state().outcomes == {"stored": 2, "rejected": 1}


def test_while_nothing_is_stored_no_document_is_at_fault(queue):
    slow = push(queue, "slow")
    for _ in range(6):
        with pytest.raises(StoreUnusable):
            try_to_store(queue, slow)
    assert dead_letters() == []


def test_in_a_batch_of_several_it_does_not_count(queue):
    ids = [push(queue, "slow"), push(queue, "other")]
    for _ in range(4):
        with pytest.raises(StoreUnusable):
            tasks.ingest("documents", ids)
    assert StoreTimeouts(queue, ()).record(ids[0]) == 0, "nothing is stored since"
    tasks.ingest("documents", [push(queue, "another")])
    assert StoreTimeouts(queue, ()).record(ids[0]) == 1, "the first that counts"


class Sender:
    """Keeps the claim checks that the reaper sends."""

    def __init__(self):
        self.sent = []

    def send(self, lane, ids):
        self.sent.append(ids)

    def queued(self):
        return 0


@pytest.mark.parametrize("slow", [(3,), (0, 19, 20), (*range(15), 29)], ids=["one", "three", "half of them"])
def test_it_holds_up_no_other_document(queue, monkeypatch, slow):
    monkeypatch.setattr(ingestion, "_STORE_DELAY_SECONDS", 0.0)
    for number in range(30):
        key = "slow" if number in slow else f"good {number}"
        queue.client.xadd("documents", {"raw": article(number), "key": key})
    sender = Sender()
    reaper = Reaper(connections.settings(), sender)
    work = [[id_ for id_, _ in queue.dispatch(limit=200, pending_cap=200, max_bytes=1 << 20).entries]]
    rounds = 0
    while work:
        rounds += 1
        assert rounds < 10, f"{queue.state().outcomes} so far"
        for ids in work:
            with contextlib.suppress(StoreUnusable):
                tasks.ingest("documents", ids)
        tasks.ingest("documents", [push(queue, f"another {rounds}")])
        sender.sent = []
        reaper.reap(queue)
        work = sender.sent
    assert (queue.state().settled, queue.state().outcomes["rejected"]) == (30 + rounds, len(slow))
    assert {"time limit 3 times" in each.problems[0]["message"] for each in dead_letters()} == {True}
    assert not queue.client.exists(keys.store_timeouts("documents")), "nothing is kept about settled documents"
