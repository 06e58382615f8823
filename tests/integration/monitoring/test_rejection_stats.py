"""Which crawler began to send invalid documents, and when: from receipts in both stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, text

from worker.monitoring.sources.rejection_stats import source_stats
from worker.settings import INTERNAL_LANE, Settings
from worker.store.engine import make_engine
from worker.store.sources.rejection_counts import by_source_and_time
from worker.store.tables import dead_letters, receipts

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BROKE = NOW - timedelta(hours=3, minutes=17, seconds=5)


@pytest.fixture
def engine(migrated_store_url, tmp_path):
    settings = Settings(database_url=migrated_store_url, data_dir=tmp_path)
    engine = make_engine(settings)
    rows = [_receipt(n, source, NOW - timedelta(minutes=n), lane) for n in range(1, 1200)
            for source, lane in (("good", "documents"), ("broke", "documents"), ("broke", INTERNAL_LANE))]  # fmt: skip
    bad = [row for row in rows if row["outcome"] == "rejected"]
    bad[-1]["settled_at"] = BROKE
    dead_letter_rows = [
        {"lane": row["lane"], "receipt_id": row["id"], "op": "put", "source": row["source"], "revision": "r", "code": "no_title",
         "problems": [], "status": "replayed", "edits": 0, "created_at": row["settled_at"]} for row in bad
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(receipts), rows)
        connection.execute(insert(dead_letters), dead_letter_rows)
    yield engine
    engine.dispose()


def _receipt(n, source, at, lane):
    rejected = source == "broke" and at > BROKE and lane == "documents"
    return {"lane": lane, "id": f"{n}-{source}", "outcome": "rejected" if rejected else "stored", "op": "put", "source": source,
            "problems": [], "changed": [], "received_at": at, "settled_at": at, "worker": "w", "attempts": 1, "timings": {}}  # fmt: skip


def test_the_source_that_broke_is_reported_with_the_moment_and_an_example(engine):
    broke, good = source_stats(engine, hours=24, now=NOW)
    assert (broke.source, good.source) == ("broke", "good")
    assert (broke.documents, broke.rejected) == (1199, 197)
    assert broke.since == BROKE
    assert broke.share_before == 0.0
    (cause,) = broke.causes
    assert (cause.code, cause.documents, cause.first_at) == ("no_title", 197, BROKE)
    assert cause.example
    assert (good.rejected, good.since, good.causes) == (0, None, [])


def test_only_the_window_counts(engine):
    broke, good = source_stats(engine, hours=1, now=NOW)
    assert broke.documents == broke.rejected == 60 == good.documents
    assert source_stats(engine, hours=1, now=NOW + timedelta(days=9)) == []


def test_an_index_is_used(engine):
    statements = []
    with engine.connect() as connection:
        from sqlalchemy import event

        event.listen(
            engine,
            "before_cursor_execute",
            lambda _c, _cu, statement, parameters, *_: statements.append((statement, parameters)),
        )
        by_source_and_time(connection, NOW - timedelta(minutes=5), 60)
        statement, parameters = statements[-1]
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET enable_seqscan = off"))
        prefix = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
        plan = connection.exec_driver_sql(prefix + statement, parameters).all()
    assert "ix_receipts_settled_at" in str(plan)


def test_the_moment_is_found_within_the_first_quarter_of_an_hour(migrated_store_url, tmp_path):
    """A system that started minutes ago has only one interval."""
    settings = Settings(database_url=migrated_store_url, data_dir=tmp_path)
    engine, broke = make_engine(settings), NOW - timedelta(minutes=4)
    rows = [
        _row(n, NOW - timedelta(seconds=2 * n), rejected=NOW - timedelta(seconds=2 * n) >= broke) for n in range(1, 300)
    ]
    with engine.begin() as connection:
        connection.execute(insert(receipts), rows)
    (found,) = source_stats(engine, hours=24, now=NOW)
    assert (found.since, found.share_before) == (broke, 0.0)
    engine.dispose()


def test_a_few_random_rejections_are_no_onset(migrated_store_url, tmp_path):
    settings = Settings(database_url=migrated_store_url, data_dir=tmp_path)
    engine = make_engine(settings)
    rows = [_row(n, NOW - timedelta(seconds=2 * n), rejected=n % 17 == 5) for n in range(1, 200)]
    with engine.begin() as connection:
        connection.execute(insert(receipts), rows)
    (found,) = source_stats(engine, hours=24, now=NOW)
    assert (found.since, found.share_before) == (
        min(row["settled_at"] for row in rows if row["outcome"] == "rejected"),
        None,
    )
    engine.dispose()


def _row(n, at, *, rejected):
    return {**_receipt(n, "young", at, "documents"), "outcome": "rejected" if rejected else "stored"}
