"""The log of operators' actions: it is bounded in length and in time, and read a page at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from worker.jobs.retention import prune
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.operator_actions import CONSOLE, add_action, read_actions
from worker.store.service_tables import operator_actions


@pytest.fixture
def engine(migrated_store_url):
    config = Settings(database_url=migrated_store_url)
    engine = make_engine(config)
    yield engine
    engine.dispose()


def test_actions_are_read_a_page_at_a_time_the_newest_first(engine):
    with engine.begin() as connection:
        for number in range(5):
            add_action(connection, "ann" if number % 2 else "bob", CONSOLE, "lane pause", f"lane {number}", "why")
    with engine.connect() as connection:
        first = read_actions(connection, limit=2)
        rest = read_actions(connection, before=first[-1].id)
        assert [row.subject for row in (*first, *rest)] == [f"lane {number}" for number in (4, 3, 2, 1, 0)]
        assert [row.subject for row in read_actions(connection, who="ann")] == ["lane 3", "lane 1"]


def test_any_text_can_be_recorded_and_is_cut(engine):
    with engine.begin() as connection:
        add_action(connection, "a\0b", CONSOLE, "lane pause", "x" * 10_000, "\u202e" * 600)
    with engine.connect() as connection:
        (row,) = read_actions(connection)
    assert (row.who, len(row.subject), len(row.reason)) == ("a\ufffdb", 500, 500)


def test_old_actions_expire_with_the_receipts(engine):
    with engine.begin() as connection:
        add_action(connection, "ann", CONSOLE, "lane pause", "old")
        connection.execute(update(operator_actions).values(at=datetime.now(UTC) - timedelta(days=3)))
        add_action(connection, "ann", CONSOLE, "lane pause", "new")
    prune(engine, Settings(receipt_days=2))
    with engine.connect() as connection:
        assert [row.subject for row in read_actions(connection)] == ["new"]
