"""Plans that PostgreSQL keeps: a plan made while a table is nearly empty must still be fast when it is full."""

import psycopg
import pytest

from worker.settings import Settings
from worker.store.batches.load_queries import CHILDREN
from worker.store.engine import make_engine
from worker.store.sql.flights import BEGIN_OPTIONS
from worker.store.sql.statements import fetch
from worker.store.tables import articles

_TIMES = 12  # executions, after which psycopg has prepared a statement and the server has chosen a plan
_ROWS = "INSERT INTO articles (url_hash, is_stub, extra, revision, link_state, first_seen_at, changed_at) " \
        "SELECT decode(md5(n::text), 'hex'), true, '{}', '', 'none', now(), now() FROM generate_series(1, 20000) n"  # fmt: skip

_LINKS = "INSERT INTO links (source_id, kind, target_hash, target_id) SELECT a.id, 'related', b.url_hash, b.id" \
         " FROM articles a JOIN articles b ON b.id BETWEEN a.id AND a.id + 10"  # fmt: skip


@pytest.fixture
def engine(migrated_postgres_url, tmp_path):
    config = Settings(database_url=migrated_postgres_url, data_dir=tmp_path)
    engine = make_engine(config, repeats=True)
    yield engine
    engine.dispose()


def test_a_statement_first_run_on_an_empty_table_finds_rows_by_the_index_when_it_is_full(engine, migrated_postgres_url):
    with engine.connect() as connection:
        for _ in range(_TIMES):
            fetch(connection, (articles.c.id,), articles.c.url_hash, [b"\0" * 16])
            connection.commit()
        with psycopg.connect(migrated_postgres_url) as other:
            other.execute(_ROWS)
        fetch(connection, (articles.c.id,), articles.c.url_hash, [b"\0" * 16])
        read = connection.exec_driver_sql("SELECT pg_stat_get_xact_tuples_returned('articles'::regclass)").scalar()
    assert read == 0


def test_the_links_of_an_article_are_read_by_the_primary_key_before_the_table_is_analysed(engine):
    with engine.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE links SET (autovacuum_enabled = off)")
        connection.exec_driver_sql(_ROWS.replace("20000", "300"))
        connection.exec_driver_sql(_LINKS)
        connection.commit()
        for statement in engine.get_execution_options()[BEGIN_OPTIONS][1:]:
            connection.exec_driver_sql(statement)
        query = CHILDREN["links"]
        values = query.postgres_values({"urls": [b"\0" * 16] * 200})
        plan = connection.exec_driver_sql(f"EXPLAIN {query.postgres({})}", values).scalars().all()
    assert any("(source_id = t.id) AND" in line for line in plan), "\n".join(plan)
