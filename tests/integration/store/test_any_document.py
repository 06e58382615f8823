"""For any document both databases give the same outcome, store the validated values, and hold the same rows."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.integration.store.snapshot import snapshot
from tests.support.any_documents import ANY_DOCUMENT, at_length
from worker.documents.limits import Limits
from worker.enrichment.document_json import document_from_json, document_to_json
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.tables import articles, dead_letters, documents, images, metadata, raw_documents, receipts

LIMITS = Limits(max_bytes=65_536)
BATCHES = st.lists(st.tuples(st.sampled_from([None, "k", "é"]), ANY_DOCUMENT), min_size=1, max_size=3)
LONG = "".join(f"{n * 2654435761 % 2**32:x}" for n in range(1000))  # 8 kB that do not compress: too long for an index


@pytest.fixture(scope="module")
def engines(tmp_path_factory, postgres, migrated_sqlite):
    folder = tmp_path_factory.mktemp("any")
    with postgres.migrated_database() as url:
        stores = [Settings(database_url=one, data_dir=folder) for one in (migrated_sqlite(folder / "store.db"), url)]
        made = [make_engine(config) for config in stores]
        yield made
        for engine in made:
            engine.dispose()


def empty(engine):
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.exec_driver_sql(f'DELETE FROM "{table.name}"')


def ingest(engine, number, submissions):
    entries = []
    for offset, (key, raw) in enumerate(submissions):
        fields = {b"raw": raw, b"source": b"s", **({b"key": key.encode()} if key else {})}
        entries.append(Claimed(f"{1_700_000_000_000 + number + offset}-0", 0, len(raw), fields, truncated=False))
    batch = Batch("documents", None, "test", 3, LIMITS)
    return process(engine, batch, entries, end_attempt=lambda: None)


def rows(engine, query):
    with engine.connect() as connection:
        return connection.execute(query).mappings().all()


def check_rejected(engine, version):
    [dead_letter] = rows(engine, select(dead_letters).where(dead_letters.c.receipt_id == version.id))
    assert dead_letter["problems"] == [found.model_dump(mode="json") for found in version.problems]
    if version.raw:
        [raw_row] = rows(engine, select(raw_documents).where(raw_documents.c.sha256 == dead_letter["raw_sha256"]))
        assert raw_row["bytes"] == version.raw


def check_shown(engine, version):
    """Check that SELECT returns what validation and enrichment made of the document."""
    copy = version.copy
    [document] = rows(engine, select(documents).where(documents.c.id == version.document_id))
    assert document["form"] == document_to_json(copy)
    assert document_from_json(document["form"], document["secured"]) == copy
    [article] = rows(engine, select(articles).where(articles.c.url_hash == copy.url_hash))
    for name in ("canonical_url", "kind", "category", "title", "excerpt", "body", "published_at", "updated_at", "language",
                 "quality", "reported_heat", "reported_published", "secured", "extra", "content_hash"):  # fmt: skip
        assert article[name] == getattr(copy, name), name
    image_rows = rows(engine, select(images).where(images.c.article_id == article["id"]).order_by(images.c.rank))
    assert [(p["url"], p["width"], p["height"], p["is_cached"], p["title"]) for p in image_rows] == [
        (i.url, i.width, i.height, i.is_cached, i.title) for i in copy.images
    ]


def hold(engines, submissions):
    seen = []
    for engine in engines:
        empty(engine)
        versions = ingest(engine, 0, submissions)
        stored_receipts = rows(engine, select(receipts).order_by(receipts.c.id))
        assert [row["outcome"] for row in stored_receipts] == [str(version.outcome) for version in versions]
        assert all(found.code != "internal_error" for version in versions for found in version.problems)
        for version in versions:
            assert (version.outcome == "rejected") == (version.copy is None and version.reference is None)
            if version.outcome == "rejected":
                check_rejected(engine, version)
        shown = {version.copy.url_hash: version for version in versions if version.copy is not None}
        latest = {version.document_id: version for version in versions if version.outcome != "rejected"}
        for version in shown.values():
            if latest[version.document_id] is version:
                check_shown(engine, version)
        [again] = ingest(engine, len(submissions), submissions[-1:])
        assert again.outcome == ("rejected" if versions[-1].outcome == "rejected" else "unchanged")
        dead_rows = rows(engine, select(dead_letters.c.receipt_id, dead_letters.c.code, dead_letters.c.problems))
        with engine.connect() as connection:
            known = [
                (row["id"], row["outcome"], row["url"], row["problems"], row["changed"]) for row in stored_receipts
            ]
            dead = sorted(
                (row["receipt_id"], row["code"], json.dumps(row["problems"], sort_keys=True)) for row in dead_rows
            )
            seen.append((snapshot(connection), known, dead))
    assert seen[0] == seen[1]


@given(BATCHES)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_document_is_stored_alike_in_both_databases(engines, submissions):
    hold(engines, submissions)


def test_an_article_that_becomes_a_topic_is_stored_alike(engines):
    article, topic = b"---\ntitle: T\nwebUrl: https://a.example/x\n---\n", b"---\ntaxonomy: topic\nname: N\n---\n"
    hold(engines, [("k", article), ("k", topic)])
    hold(engines, [("k", topic), ("k", article)])


@pytest.mark.parametrize("fields", [
    f"topics: [{LONG}]", f"provider: {{name: {LONG}, domain: {LONG}.example}}", f"type: {LONG}", f"locale: {LONG}",
    f"category: {LONG}", f"images: [{{url: 'https://a.example/{LONG[:2000]}', title: {LONG}}}]",
    f"ampUrl: 'https://a.example/{'é' * 1000}'", f"related: [{{webUrl: 'https://b.example/{'é' * 1000}', title: {LONG}}}]",
])  # fmt: skip
def test_no_value_is_too_long_for_an_index(engines, fields):
    hold(engines, [(None, f"---\ntitle: T\nwebUrl: https://a.example/x\n{fields}\n---\n".encode())])


@pytest.mark.parametrize("fields", [
    '"a\\0": x\n"a\\0": y', '"\\ud800\\e\\x80": []\n"\\u2028": {"\\0": 5}', "a: 'x\x00'", "title\0: x",
    'related: [{"webUrl": "https://b.example/\\0x", "quality": "\\e[31m"}]',
])  # fmt: skip
def test_a_quoted_value_of_a_problem_can_be_stored(engines, fields):
    """Found by the long form: a field name with a NUL in the problems of a dead letter."""
    hold(engines, [(None, f"---\ntitle: T\nwebUrl: https://a.example/x\n{fields}\n---\n".encode())])


@pytest.mark.long
@pytest.mark.timeout(0)
def test_any_document_is_stored_alike_at_length(engines):
    at_length(BATCHES, lambda submissions: hold(engines, submissions))
