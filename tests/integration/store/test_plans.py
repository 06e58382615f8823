"""Plans that PostgreSQL keeps: a plan made while a table is nearly empty must still be fast when it is full."""

import psycopg
import pytest

from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.migration import upgrade
from worker.store.sql.statements import fetch
from worker.store.tables import articles

_TIMES = 12  # executions, after which psycopg has prepared a statement and the server has chosen a plan
_ROWS = "INSERT INTO articles (url_hash, is_stub, extra, revision, link_state, first_seen_at, changed_at) " \
        "SELECT decode(md5(n::text), 'hex'), true, '{}', '', 'none', now(), now() FROM generate_series(1, 20000) n"  # fmt: skip


@pytest.fixture
def engine(postgres_url, tmp_path):
    config = Settings(database_url=postgres_url, data_dir=tmp_path)
    upgrade(config)
    engine = make_engine(config, repeats=True)
    yield engine
    engine.dispose()


def test_a_statement_first_run_on_an_empty_table_finds_rows_by_the_index_when_it_is_full(engine, postgres_url):
    with engine.connect() as connection:
        for _ in range(_TIMES):
            fetch(connection, (articles.c.id,), articles.c.url_hash, [b"\0" * 16])
            connection.commit()
        with psycopg.connect(postgres_url) as other:
            other.execute(_ROWS)
        fetch(connection, (articles.c.id,), articles.c.url_hash, [b"\0" * 16])
        read = connection.exec_driver_sql("SELECT pg_stat_get_xact_tuples_returned('articles'::regclass)").scalar()
    assert read == 0
