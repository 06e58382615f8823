"""A batch that was processed is on PostgreSQL's disk: Redis may delete its documents."""

import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from tests.benchmarks.generator import Generator
from tests.faults.stores import PostgresStore
from worker.documents.limits import Limits
from worker.pipeline import Batch, open_entry, process, read_version
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.batches import writer
from worker.store.batches.prepare import prepare
from worker.store.engine import is_transient, make_engine
from worker.store.migration import upgrade
from worker.store.tables import raw_documents, receipts, topics

_DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A PostgreSQL that may be killed, and an engine on it. It writes its log only when a commit asks for it."""
    server = PostgresStore()
    server.run("ALTER SYSTEM SET wal_writer_delay = '10s'")
    server.restart()
    config = Settings(database_url=server.url, data_dir=tmp_path_factory.mktemp("data"))
    upgrade(config)
    engine = make_engine(config, repeats=True)
    yield server, engine
    engine.dispose()
    server.stop()


def _entries(first_ms, seed=3):
    return [
        Claimed(f"{first_ms + number}-0", 0, 100, {b"raw": one.raw, b"key": one.key.encode()}, truncated=False)
        for number, one in enumerate(Generator(seed).documents(20))
    ]


def _process(engine, entries):
    return process(engine, Batch("documents", None, "test", 3, Limits()), entries, end_attempt=lambda: None)


def _crash(server, engine):
    server.restart(crash=True, down_seconds=0)
    engine.dispose()  # its connections are closed


@pytest.mark.parametrize("days", [-1, -2, 2], ids=["the highest ids", "lower ids than before", "ids of the future"])
@pytest.mark.parametrize("count", [1, 20], ids=["one document", "a batch"])
def test_a_processed_batch_outlives_a_crash_of_the_database(store, days, count):
    server, engine = store
    entries = _entries(int(time.time() * 1000) + days * _DAY_MS + count * 1000)[:count]
    _process(engine, entries)
    _crash(server, engine)
    with engine.connect() as connection:
        stored = connection.scalar(
            select(func.count())
            .select_from(receipts.join(raw_documents, receipts.c.raw_sha256 == raw_documents.c.sha256))
            .where(receipts.c.id.in_([entry.id for entry in entries]))
        )
    assert stored == len(entries)


@pytest.mark.parametrize("count", [1, 20], ids=["one of its documents", "all"])
def test_a_batch_that_is_delivered_again_outlives_a_crash_of_the_database(store, monkeypatch, count):
    """The process died after the commit, before it made the batch durable: the next delivery repeats its outcomes."""
    server, engine = store
    entries = _entries(int(time.time() * 1000) + count * 1000)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("worker.store.batches.writer._raise_highest", die)
        with pytest.raises(KeyboardInterrupt):
            _process(engine, entries)
    _process(engine, entries[:count])
    _crash(server, engine)
    assert _ids(engine) >= {entry.id for entry in entries[:count]}


def test_a_batch_that_a_crash_of_the_database_loses_is_not_settled(store, monkeypatch):
    """The process does not notice the crash, as behind a pooler: its next transaction runs on the recovered database."""
    server, engine = store
    entries = _entries(int(time.time() * 1000) + 3600_000)
    raise_highest = writer._raise_highest

    def crash_before(*arguments):
        _crash(server, engine)
        raise_highest(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(writer, "_raise_highest", crash_before)
        with pytest.raises(OperationalError) as raised:
            _process(engine, entries)
    assert is_transient(raised.value)
    assert _ids(engine).isdisjoint(entry.id for entry in entries), "the crash lost nothing: this test proves nothing"
    _process(engine, entries)
    assert _ids(engine) >= {entry.id for entry in entries}


def test_ids_of_new_providers_and_topics_outlive_a_crash_of_the_database(store):
    server, engine = store
    entries = _entries(int(time.time() * 1000) + 7200_000, seed=4)
    batch = Batch("documents", None, "test", 3, Limits())
    items = [open_entry(batch, entry) for entry in entries]
    for item in items:
        read_version(item, Limits())
    shared = prepare(engine, items, datetime.now(UTC), known_raw={})
    _crash(server, engine)
    with engine.connect() as connection:
        found = {row.slug: row.id for row in connection.execute(select(topics.c.slug, topics.c.id))}
    assert {slug: found.get(slug) for slug in shared.topics} == shared.topics


def _ids(engine):
    with engine.connect() as connection:
        return set(connection.scalars(select(receipts.c.id)))
