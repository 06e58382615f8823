"""A store and a server for tests that disturb workers."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, select

from tests.support.servers import copydesk
from worker.store import tables


@pytest.fixture
def settings(valkey, redis_client, tmp_path):
    """A worker's settings: a real Valkey, emptied, and a fresh SQLite. Without a linker, which takes a second to start."""
    settings = {"COPYDESK_REDIS_URL": valkey.url, "COPYDESK_DATA_DIR": str(tmp_path), "COPYDESK_LINK": "false"}
    assert copydesk("db", "upgrade", cwd=tmp_path, **settings).returncode == 0
    return settings


@pytest.fixture
def receipts(tmp_path):
    """`receipts()`: id → receipt row."""
    engine = create_engine(f"sqlite:///{tmp_path}/copydesk.db")

    def read():
        with engine.connect() as connection:
            return {row.id: row for row in connection.execute(select(tables.receipts))}

    yield read
    engine.dispose()
