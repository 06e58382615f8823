"""Migrations and tables agree, and rows of older stores survive them."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from worker.settings import Settings
from worker.store import migrate, tables
from worker.store.engine import is_transient, make_engine, writer


def _upgrade(engine, revision):
    with writer(engine) as connection, connection.begin():
        command.upgrade(migrate._config(connection), revision)


def test_migrations_end_in_the_tables(store_url, tmp_path):
    config = Settings(database_url=store_url, data_dir=tmp_path)
    migrate.upgrade(config)
    engine = make_engine(config)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, tables.articles.metadata) == []
    engine.dispose()


def test_rows_of_the_first_schema_survive(store_url, tmp_path):
    engine = make_engine(Settings(database_url=store_url, data_dir=tmp_path))
    _upgrade(engine, "0001")
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO providers (id, domain, name, other_names) VALUES (1, 'a.example', 'A', '[]')")
        )
        connection.execute(text(
            "INSERT INTO articles (id, url_hash, title, provider_id, is_stub, extra, revision, link_state, first_seen_at,"
            " changed_at, pipeline_version) VALUES (1, :hash, 'T', 1, :no, '{}', '1', 'pending', :now, :now, 1)"
        ), {"hash": b"1" * 16, "no": False, "now": "2026-01-01 00:00:00"})  # fmt: skip
        connection.execute(text("INSERT INTO images (article_id, rank, url) VALUES (1, 0, 'https://a.example/1.jpg')"))
    _upgrade(engine, "head")
    with engine.connect() as connection:
        article = connection.execute(tables.articles.select()).one()
        assert (article.title, article.details, article.heat, article.provider_id) == ("T", {}, None, 1)
        image = connection.execute(tables.images.select()).one()
        assert (image.is_placeholder, image.url_hash) == (False, None)
        assert connection.execute(tables.providers.select()).one().images == []
    engine.dispose()


def test_a_schema_that_changes_under_a_worker_is_no_documents_fault(postgres_url, tmp_path):
    config = Settings(database_url=postgres_url, data_dir=tmp_path)
    migrate.upgrade(config)
    engine = make_engine(config)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE articles RENAME COLUMN title TO headline"))
    with engine.connect() as connection, pytest.raises(ProgrammingError) as caught:
        connection.execute(select(tables.articles.c.title))
    engine.dispose()

    assert is_transient(caught.value)
