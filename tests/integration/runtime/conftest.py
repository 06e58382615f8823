"""A store and a server for tests that disturb workers."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, select

from worker.queue.lease_queue import LeaseQueue
from worker.runtime import connections, ingestion, tasks
from worker.settings import Settings
from worker.store import tables


@pytest.fixture
def settings(valkey, redis_client, migrated_folder):
    """A worker's settings: a real Valkey, emptied, and a fresh SQLite. Without a linker, which takes a second to start."""
    return {"COPYDESK_REDIS_URL": valkey.url, "COPYDESK_DATA_DIR": str(migrated_folder), "COPYDESK_LINK": "false"}


@pytest.fixture
def receipts(tmp_path):
    """`receipts()`: id → receipt row."""
    engine = create_engine(f"sqlite:///{tmp_path}/copydesk.db")

    def read():
        with engine.connect() as connection:
            return {row.id: row for row in connection.execute(select(tables.receipts))}

    yield read
    engine.dispose()


@pytest.fixture
def become_worker(redis_client, valkey, tmp_path, monkeypatch):
    """A function: make this process the worker of the lane `documents` with a store that has the current schema; it returns the lane."""
    caches = (connections.engine, connections.client, connections.queue, connections.rules)
    for cache in caches:
        cache.cache_clear()

    def become(database_url):
        config = Settings(redis_url=valkey.url, database_url=database_url, data_dir=tmp_path)
        for module in (connections, ingestion, tasks):
            monkeypatch.setattr(module, "settings", lambda: config)
        queue = LeaseQueue(redis_client, "documents")
        queue.ensure()
        return queue

    yield become
    connections.engine().dispose()
    connections.client().close()
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def own_worker(become_worker, migrated_sqlite, tmp_path):
    """The lane `documents`, with this process as its worker, and a fresh SQLite."""
    return become_worker(migrated_sqlite(tmp_path / "store.db"))
