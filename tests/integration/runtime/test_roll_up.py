"""The task that rolls receipts up: one worker of all runs it, and a store that is away is logged without a traceback."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError

from worker.queue.lease_queue import LeaseQueue
from worker.runtime import connections, tasks
from worker.settings import Settings
from worker.store.tables import articles, receipts, source_hours
from worker.word_index import stored_terms
from worker.word_index.terms import query_terms


@pytest.fixture
def store(engine, redis_client, monkeypatch):
    LeaseQueue(redis_client, "documents").ensure()
    at = datetime.now(UTC) - timedelta(minutes=5)
    row = {
        "lane": "documents", "id": "1-0", "outcome": "stored", "op": "put", "source": "s", "problems": [], "changed": [],
        "received_at": at, "settled_at": at, "worker": "w", "attempts": 1, "timings": {},
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(receipts), [row])
    monkeypatch.setattr(connections, "engine", lambda: engine)
    monkeypatch.setattr(connections, "client", lambda: redis_client)
    monkeypatch.setattr(connections, "queue", lambda lane: LeaseQueue(redis_client, lane))
    monkeypatch.setattr(tasks, "settings", Settings)
    return engine


def counted(engine):
    with engine.connect() as connection:
        return connection.execute(
            select(source_hours.c.source, source_hours.c.documents).where(source_hours.c.site == "")
        ).all()


def test_receipts_are_counted(store):
    tasks.roll_up()
    assert counted(store) == [("s", 1)]


def test_only_one_worker_of_all_counts_at_a_time(store, redis_client):
    redis_client.set("copydesk:rolled-up", "another")
    tasks.roll_up()
    assert counted(store) == []


def test_an_unreachable_store_raises_nothing(store, monkeypatch):
    class Away(Exception):
        sqlstate = "08006"

    def away(*_args, **_options):
        raise OperationalError("SELECT", {}, Away("the server closed the connection"))

    monkeypatch.setattr(tasks, "roll_up_sources", away)
    tasks.roll_up()
    assert counted(store) == []


@pytest.fixture
def indexed(store, monkeypatch):
    """The seconds that each call of the indexing got."""
    calls = []
    monkeypatch.setattr(tasks, "fill_word_index", lambda engine, config, *, seconds: calls.append(seconds))
    return calls


def test_words_are_indexed_after_the_counts(store):
    changed = datetime.now(UTC) - timedelta(minutes=5)
    article = {"id": 1, "url_hash": b"1" * 16, "title": "A ferry", "is_stub": False, "extra": {}, "revision": "r",
               "link_state": "linked", "first_seen_at": changed, "changed_at": changed}  # fmt: skip
    with store.begin() as connection:
        connection.execute(insert(articles), [article])
    tasks.roll_up()
    with store.connect() as connection:
        assert stored_terms.matching(connection, query_terms("ferry"), 9) == [1]


def test_words_are_indexed_for_a_second_while_documents_wait(store, redis_client, indexed):
    tasks.roll_up()
    redis_client.delete("copydesk:rolled-up")
    redis_client.xadd("documents", {"raw": "x"})
    tasks.roll_up()
    assert indexed == [Settings().task_seconds / 4, 1.0]


def test_no_words_are_indexed_where_search_is_turned_off(store, indexed, monkeypatch):
    monkeypatch.setenv("COPYDESK_SEARCH", "false")
    tasks.roll_up()
    assert (indexed, counted(store)) == ([], [("s", 1)])
