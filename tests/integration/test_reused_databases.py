"""A database that a test has left is like a fresh one when the next test gets it."""

import psycopg
import pytest
from sqlalchemy import create_engine, insert, select

from worker.server_urls import normal_database_url
from worker.store.tables import topics

CHANGES = {
    "a column": "ALTER TABLE articles RENAME COLUMN title TO headline",
    "an index": "DROP INDEX ix_articles_published_at",
    "a table": "DROP TABLE article_words",
    "a trigger": "ALTER TABLE articles DISABLE TRIGGER ALL",
    "a function": "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "statistics": "ANALYZE articles",
    "the version of the schema": "UPDATE alembic_version SET version_num = '0001'",
    "the table of versions": "DROP TABLE alembic_version",
    "a setting": "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END $$",
}


def _change(postgres, statement):
    """Run `statement` in a database of a test; return the names of the databases that may be given to another one."""
    with postgres.migrated_database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
    return set(postgres._free)


@pytest.mark.parametrize("change", CHANGES)
def test_a_database_whose_schema_or_settings_a_test_changed_is_not_given_to_another(postgres, change):
    before = _change(postgres, "SELECT 1")
    assert len(_change(postgres, CHANGES[change])) == len(before) - 1


def test_an_emptied_database_has_no_rows_first_ids_and_a_new_name(postgres):
    for _ in range(2):
        with postgres.migrated_database() as url:
            engine = create_engine(normal_database_url(url))
            with engine.begin() as connection:
                assert connection.execute(select(topics)).all() == []
                connection.execute(insert(topics).values(name="Ferries", slug="ferries"))
                assert connection.scalar(select(topics.c.id)) == 1
            left_open = engine.connect()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        left_open.invalidate()
        engine.dispose()
