"""Migrations and table definitions agree, and rows of older stores survive the migrations."""

import subprocess
import sys
from dataclasses import replace

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, inspect, select, text, update
from sqlalchemy.exc import ProgrammingError

from tests.integration.store.histories import Put
from tests.integration.store.snapshot import snapshot
from tests.integration.store.store_driver import empty, entry, settle, work
from tests.support.servers import ROOT, environment
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store import migration, tables
from worker.store.consistency import COMPARED, check
from worker.store.decide import documents
from worker.store.engine import is_transient, make_engine, writer
from worker.store.migrations import schema_version


def _upgrade(engine, revision):
    with writer(engine) as connection, connection.begin():
        command.upgrade(migration._config(connection), revision)


def test_migrations_create_the_defined_tables(store_url, tmp_path):
    config = Settings(database_url=store_url, data_dir=tmp_path)
    migration.upgrade(config)
    engine = make_engine(config)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=COMPARED)
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


def test_a_schema_that_changes_under_a_worker_rejects_no_document(postgres_url, tmp_path):
    config = Settings(database_url=postgres_url, data_dir=tmp_path)
    migration.upgrade(config)
    engine = make_engine(config)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE articles RENAME COLUMN title TO headline"))
    with engine.connect() as connection, pytest.raises(ProgrammingError) as caught:
        connection.execute(select(tables.articles.c.title))
    engine.dispose()

    assert is_transient(caught.value)


URL = "https://paper.example/a"


def _put(number, key, url=URL, source="s"):
    raw = f"---\ntitle: T{number}\nwebUrl: {url}\nrelated: [{{title: R, webUrl: 'https://paper.example/r'}}]\n---\n"
    fields = {b"raw": raw.encode(), b"source": source.encode(), **({b"key": key.encode()} if key else {})}
    return Claimed(f"{1_700_000_000_000 + number}-0", 0, 100, fields, truncated=False)


def _retract(number, key=URL, source="s"):
    fields = {b"op": b"retract", b"key": key.encode(), b"source": source.encode()}
    return Claimed(f"{1_700_000_000_000 + number}-0", 0, 100, fields, truncated=False)


CHILDREN = ("links", "article_urls", "images", "article_topics")


def test_rows_of_articles_lose_their_foreign_keys_and_stay_and_a_downgrade_brings_the_keys_back(store_url, tmp_path):
    config = Settings(database_url=store_url, data_dir=tmp_path)
    migration.upgrade(config)
    engine = make_engine(config)
    puts = [
        Put("s", f"k{n}", f"{URL}{n}", f"{URL}{n}/amp", (f"{URL}r",), "A", "x", f"{URL}.jpg", "AAAA") for n in range(5)
    ]
    work(engine, "documents", [entry(number, put) for number, put in enumerate(puts)])
    before = snapshot_of(engine)
    rows = dict.fromkeys(CHILDREN, 5) | {"article_urls": 10, "images": 6}
    assert count_rows(engine) == rows
    with writer(engine) as connection, connection.begin():
        command.downgrade(migration._config(connection), "0017")
    inspected = inspect(engine)
    assert [len(inspected.get_foreign_keys(name)) for name in CHILDREN] == [2, 1, 1, 2]
    assert snapshot_of(engine) == before

    migration.upgrade(config)

    inspected = inspect(engine)
    assert [inspected.get_foreign_keys(name) for name in CHILDREN] == [[]] * 4
    assert snapshot_of(engine) == before
    assert broken_rules(engine) == []
    with writer(engine) as connection, connection.begin():  # rows that break the keys do not stop the way back
        connection.execute(insert(tables.links).values(source_id=-1, kind="similar", target_hash=b"x" * 16))
        connection.execute(insert(tables.images).values(article_id=-1, rank=0, url=URL))
        connection.execute(update(tables.links).values(target_id=-1))
        command.downgrade(migration._config(connection), "0017")
    assert count_rows(engine) == rows
    engine.dispose()


def count_rows(engine):
    with engine.connect() as connection:
        return {name: connection.scalar(text(f"SELECT count(*) FROM {name}")) for name in CHILDREN}


def snapshot_of(engine):
    with engine.connect() as connection:
        return snapshot(connection)


def broken_rules(engine):
    with engine.connect() as connection:
        return [finding.check for finding in check(connection) if finding.count]


BEFORE_0008 = {
    "under a key": [_put(1, "k"), _retract(2)],
    "under keys and its URL": [_put(1, "k"), _put(2, "l"), _put(3, None), _retract(4)],
    "came too late": [_retract(2), _put(1, "k")],
    "a newer one stays": [_put(1, "k"), _retract(2), _put(3, "l")],
    "again under its URL": [_put(1, "k"), _put(2, None), _retract(3), _put(4, None, "https://paper.example/b")],
    "of another source": [_put(1, "k", source="t"), _retract(2)],
    "another URL": [_put(1, "k", "https://paper.example/b"), _put(2, "l", "https://paper.example/c"), _retract(3)],
    "retracted twice": [_put(1, "k"), _retract(2), _retract(3)],
    "by a key": [
        _put(1, "k"),
        _put(2, "http:x"),
        _retract(3, "http:x"),
        _retract(4, "httpx://a"),
        _retract(5, "a http://b"),
    ],
    "nothing": [_retract(1)],
    "with a query": [_put(1, "k", URL + "?q=%25_"), _retract(2, URL + "?q=%25_&utm_source=x")],
}


def _all_cases():
    """Return the entries of all cases, each with a source and a site of its own."""
    for n, entries in enumerate(BEFORE_0008.values()):
        for one in entries:
            fields = {
                name: value.replace(b"paper.example", b"paper%d.example" % n) for name, value in one.fields.items()
            }
            fields[b"source"] += b"%d" % n
            yield replace(one, id=f"{int(one.id[:-2]) + 100 * n}-0", fields=fields)


def test_a_migration_applies_old_retractions_to_documents_that_stayed_public(store_url, tmp_path, monkeypatch):
    """A store of 0007 after these events is migrated to what it holds if they are processed now."""
    config = Settings(database_url=store_url, data_dir=tmp_path)
    migration.upgrade(config)
    engine = make_engine(config)
    with monkeypatch.context() as before:
        before.setattr(
            documents, "place_of", lambda item: None
        )  # in 0007 a retraction applied only to the document of its key
        for one in _all_cases():
            work(engine, "documents", [one])
    with writer(engine) as connection, connection.begin():
        command.downgrade(migration._config(connection), "0007")

    migration.upgrade(config)

    settle(engine)
    mended = _state(engine)
    empty(engine)
    for one in _all_cases():
        work(engine, "documents", [one])
    settle(engine)
    today = _state(engine)
    for part, rows in today.items():
        assert mended[part] == rows, part
    assert len(today["url retractions"]) == 10
    engine.dispose()


def _state(engine):
    with engine.connect() as connection:
        assert connection.execute(select(tables.enrichment_work)).all() == []
        assert [finding for finding in check(connection) if finding.count] == []
        columns = (tables.documents.c.source, tables.documents.c.key, tables.documents.c.url_retraction)
        kept = connection.execute(select(*columns).where(columns[2].is_not(None))).all()
        return {**snapshot(connection), "url retractions": sorted(map(tuple, kept))}


def test_the_version_of_a_store_is_read_without_alembic(store_url, tmp_path):
    config = Settings(database_url=store_url, data_dir=tmp_path)
    engine = make_engine(config)
    with engine.connect() as connection:
        assert schema_version.current(connection) is None
    migration.upgrade(config)
    with engine.connect() as connection:
        assert schema_version.current(connection) == schema_version.head()
    engine.dispose()


def test_a_worker_does_not_load_what_it_never_uses():
    code = (
        "import sys, worker.runtime.tasks, worker.monitoring.servers.server_checks;"
        " print({'alembic', 'requests'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
