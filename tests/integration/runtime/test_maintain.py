"""The hourly maintenance task: one worker runs it, for a part of its time limit, and sends the next task with the place
to resume.
"""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import OperationalError

from worker.runtime import connections, tasks
from worker.settings import Settings
from worker.store.tables import raw_documents

ROWS = 450


@pytest.fixture
def sent(engine, redis_client, monkeypatch):
    """The arguments of the tasks that were sent; the store has rows to delete."""
    old = datetime.now(UTC) - timedelta(days=400)
    rows = [{"sha256": n.to_bytes(32, "big"), "size": 1, "bytes": b"x", "last_seen_at": old} for n in range(ROWS)]
    with engine.begin() as connection:
        connection.execute(insert(raw_documents), rows)
    found = []
    monkeypatch.setattr(connections, "engine", lambda: engine)
    monkeypatch.setattr(connections, "client", lambda: redis_client)
    monkeypatch.setattr(
        tasks, "settings", lambda: Settings(statement_seconds=1e-9, idle_transaction_seconds=1e-9, task_seconds=1e-9)
    )
    monkeypatch.setattr(tasks.maintain, "apply_async", lambda args, **options: found.append(args))
    return found


def left(engine):
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(raw_documents))


def test_maintenance_resumes_with_the_task_it_sent_until_all_is_deleted(engine, sent):
    tasks.maintain()
    assert ROWS > left(engine) > 0, "its time ran out"
    while sent:
        tasks.maintain(*sent.pop())

    assert left(engine) == 0


def test_a_second_task_within_the_hour_does_nothing(engine, sent, redis_client):
    redis_client.set("copydesk:maintained", "another")
    tasks.maintain()

    assert (left(engine), sent) == (ROWS, [])


def test_an_unreachable_store_is_logged_without_a_traceback(engine, sent, monkeypatch):
    class Away(Exception):
        sqlstate = "08006"

    def away(*_args, **_options):
        raise OperationalError("SELECT", {}, Away("the server closed the connection"))

    monkeypatch.setattr(tasks, "prune", away)
    tasks.maintain()

    assert sent == []


def test_an_invalid_place_to_resume_is_ignored(engine, sent):
    tasks.maintain('["articles"]')

    assert (left(engine), sent) == (ROWS, [])
