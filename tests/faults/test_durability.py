"""A batch that was processed is on PostgreSQL's disk: Redis may delete its documents."""

import time

import pytest
from sqlalchemy import func, select

from tests.benchmarks.generator import Generator
from tests.faults.stores import PostgresStore
from worker.documents.limits import Limits
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.migration import upgrade
from worker.store.tables import raw_documents, receipts

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
