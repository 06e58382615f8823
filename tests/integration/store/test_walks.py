"""Every query of a batch uses an index: no table that grows with the collection is scanned."""

from __future__ import annotations

import re

import psycopg
import pytest
from sqlalchemy import event, text

from tests.integration.store.histories import SITES, Put, Retract
from tests.integration.store.store_driver import entry, settle, work
from worker.settings import Settings
from worker.store.engine import make_engine

GROWING = "receipts|documents|dead_letters|articles|article_urls|links|raw_documents|images"


def _put(n, key="k1"):
    return Put(
        "s", key, f"https://site{n}.example/story", None, ("https://site4.example/story",), "A", "x", None, "AAAA"
    )


@pytest.fixture
def engine(migrated_store_url, tmp_path):
    config = Settings(database_url=migrated_store_url, data_dir=tmp_path)
    engine = make_engine(config)
    yield engine
    engine.dispose()


def _plans(connection, statements):
    """Return the plan of each statement that reads. PostgreSQL scans a small table unless sequential scans are
    disabled.
    """
    prefix = "EXPLAIN QUERY PLAN "
    if connection.dialect.name == "postgresql":
        prefix = "EXPLAIN "
        connection.execute(text("SET enable_seqscan = off"))
    for statement, parameters in statements:
        yield statement, "\n".join(str(row) for row in connection.exec_driver_sql(prefix + statement, parameters))


def _is_read(statement):
    words = statement.split(None, 1)[0].upper()
    return words in ("SELECT", "WITH") and not re.search(
        r"set_config|pg_advisory|nextval|setval|clock_timestamp", statement
    )


@pytest.fixture
def statements(engine, monkeypatch):
    """Statements that read, with their parameters: those through SQLAlchemy, and those in psycopg's pipeline."""
    noted = []

    def note(_connection, _cursor, statement, parameters, _context, many):
        if not many and _is_read(statement):
            noted.append((statement, parameters))

    execute = psycopg.Cursor.execute

    def execute_and_note(self, query, params=None, **options):
        if isinstance(query, str) and params and _is_read(query):
            noted.append((query, params))
        return execute(self, query, params, **options)

    event.listen(engine, "before_cursor_execute", note)
    monkeypatch.setattr(psycopg.Cursor, "execute", execute_and_note)
    return noted


def _walks(engine, statements):
    queries = list(statements)
    with engine.connect() as connection:
        return [(one, plan) for one, plan in _plans(connection, queries)
                if re.search(rf"\bSCAN ({GROWING})\b|Seq Scan on ({GROWING})\b", plan)]  # fmt: skip


def test_no_batch_scans_a_table(engine, statements):
    work(engine, "documents", [entry(1, _put(1)), entry(2, _put(2, "k2"))])
    statements.clear()
    work(engine, "documents", [entry(3, _put(1)), entry(4, _put(3, "k2")), entry(5, Retract("s", SITES[1]))])
    assert len(statements) > 12
    assert _walks(engine, statements) == []


def test_no_step_of_background_work_scans_a_table(engine, statements):
    work(engine, "documents", [entry(n, _put(n, f"k{n}")) for n in range(4)])
    work(engine, "documents", [entry(5, Put("s", "k4", SITES[4], None, (), "Other", "x", None, "AAAA", 60))])
    statements.clear()
    settle(engine)
    assert len(statements) > 5
    assert _walks(engine, statements) == []
