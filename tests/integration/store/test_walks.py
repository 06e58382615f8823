"""Every query of a batch uses an index: no table that grows with the collection is scanned."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import event, text

from tests.integration.store.histories import Put
from tests.integration.store.store_driver import entry, work
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.migration import upgrade

GROWING = "receipts|documents|dead_letters|articles|article_urls|links|raw_documents|images"


def _put(n, key="k1"):
    return Put(
        "s", key, f"https://site{n}.example/story", None, ("https://site4.example/story",), "A", "x", None, "AAAA"
    )


@pytest.fixture
def engine(store_url, tmp_path):
    config = Settings(database_url=store_url, data_dir=tmp_path)
    upgrade(config)
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


def test_no_batch_scans_a_table(engine):
    work(engine, "documents", [entry(1, _put(1)), entry(2, _put(2, "k2"))])
    statements = []

    def note(_connection, _cursor, statement, parameters, _context, many):
        if not many and statement.lstrip().upper().startswith("SELECT"):
            statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    work(engine, "documents", [entry(3, _put(1)), entry(4, _put(3, "k2"))])
    event.remove(engine, "before_cursor_execute", note)
    assert len(statements) > 5
    with engine.connect() as connection:
        walks = [(asked, plan) for asked, plan in _plans(connection, statements)
                 if re.search(rf"\bSCAN ({GROWING})\b|Seq Scan on ({GROWING})\b", plan)]  # fmt: skip
    assert walks == []
