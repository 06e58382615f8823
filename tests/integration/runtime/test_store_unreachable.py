"""With an unreachable store documents wait without counting an attempt, and are processed afterwards without an
operator.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, select

from tests.support.runtime_hooks import SHORT, article
from tests.support.servers import Background, until
from worker.activity.heartbeats import workers
from worker.store import tables


@contextlib.contextmanager
def locked(path):
    """SQLite with another writer."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def closed(postgres, url):
    """A PostgreSQL that refuses connections."""
    name = make_url(url).database
    with psycopg.connect(postgres.url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@pytest.mark.parametrize("store", [pytest.param("sqlite", marks=pytest.mark.long), "postgresql"])
def test_documents_wait_without_an_attempt_and_are_stored_within_seconds(
    store, valkey, redis_client, tmp_path, request
):
    url = (
        request.getfixturevalue("migrated_postgres_url")
        if store == "postgresql"
        else request.getfixturevalue("migrated_sqlite")(tmp_path / "copydesk.db")
    )
    settings = {"COPYDESK_REDIS_URL": valkey.url, "COPYDESK_DATABASE_URL": url, **SHORT, "COPYDESK_LEASE_SECONDS": "10",
                "COPYDESK_LOG_FORMAT": "json"}  # fmt: skip
    with Background("worker", cwd=tmp_path, **settings) as worker:
        until(lambda: [w for w in workers(redis_client) if w.is_consuming], what="it consumes")
        away = (
            locked(tmp_path / "copydesk.db") if store == "sqlite" else closed(request.getfixturevalue("postgres"), url)
        )
        with away:
            for number in range(300):
                redis_client.xadd("documents", {"raw": article(number), "key": str(number)})
            until(lambda: [w for w in workers(redis_client) if w.state == "waiting-for-store"], what="it says so")
            time.sleep(4)
            (state,) = workers(redis_client)
            assert "The store cannot be used since" in state.reason
            assert redis_client.xlen("documents") == 300
            assert worker.text().count("The store cannot be used since") == 1
        back = time.monotonic()
        until(lambda: redis_client.xlen("documents") == 0, what="all are stored")
        assert time.monotonic() - back < 25  # seconds; a few on an idle machine
        until(lambda: "The store can be used again" in worker.text(), what="it says that it is over")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = [(row.outcome, row.attempts) for row in connection.execute(select(tables.receipts))]
        dead = connection.execute(select(tables.dead_letters)).all()
    engine.dispose()
    assert found == [("stored", 1)] * 300
    assert dead == []
