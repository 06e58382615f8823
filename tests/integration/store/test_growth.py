"""The cost of a batch depends on the batch, not on how many rows name a URL, hold the same bytes or share an image.

The cost is counted in rows that PostgreSQL reads, which does not depend on other load. The same batches on a store with
three copies are the comparison. `python -m tests.benchmarks --sections popular` measures the time with 300,000 copies.
"""

import time

import psycopg
import pytest

from tests.benchmarks.popular import CASES, FEW, Store
from tests.integration.store.snapshot import broken_rules

MANY = 500
"""With 300, PostgreSQL rightly reads some of the tables as a whole."""
LONG = 50_000
_FREE = 100
"""Rows that a batch may read more than with three copies: a fifth of the copies, more than any chance."""

_ROWS_READ = """SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables) + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)"""


def _rows_read(url):
    """Return how many rows all ended connections have read so far, once their counts have arrived."""
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'copydesk' AND datname = current_database()"
        ).fetchone()[0]:
            time.sleep(0.01)
        connection.execute("SELECT pg_stat_clear_snapshot()")
        return int(connection.execute(_ROWS_READ).fetchone()[0])


def _costs(postgres, folder, case, copies):
    """Return batch → rows read; the store must be consistent at the end."""
    folder.mkdir()
    with postgres.migrated_database() as url:
        store = Store(url, folder, case, copies)
        found = {}
        for name, documents in case.batches(copies).items():
            store.engine.dispose()
            before = _rows_read(url)
            store.store(documents)
            store.engine.dispose()
            found[name] = _rows_read(url) - before
            list(store.steps())
        assert broken_rules(store.engine) == set()
        store.engine.dispose()
        return found


def _does_not_grow(postgres, folder, name, copies):
    few = _costs(postgres, folder / "few", CASES[name], FEW)
    many = _costs(postgres, folder / "many", CASES[name], copies)
    print({batch: (few[batch], many[batch]) for batch in few})
    assert {batch: (few[batch], read) for batch, read in many.items() if read > 2 * few[batch] + _FREE} == {}


@pytest.mark.parametrize("name", CASES)
def test_a_batch_reads_no_more_rows_where_many_share_what_it_touches(postgres, tmp_path, name):
    _does_not_grow(postgres, tmp_path, name, MANY)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CASES)
def test_a_batch_reads_no_more_rows_where_fifty_thousand_share_what_it_touches(postgres, tmp_path, name):
    _does_not_grow(postgres, tmp_path, name, LONG)
