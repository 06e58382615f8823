"""`db check` finds every kind of inconsistency of a store, and reports nothing for a consistent one."""

from random import Random

import pytest
from sqlalchemy import delete, insert, text, update

from tests.integration.store.histories import Put, batches_of, history
from tests.integration.store.snapshot import broken_rules
from tests.integration.store.store_driver import StoreDriver, entry, work
from worker.store.consistency import check
from worker.store.tables import (
    article_topics,
    article_urls,
    articles,
    documents,
    images,
    links,
    raw_documents,
    receipts,
)

FIRST, SECOND, NAMER, ALIAS = (f"https://{name}.example/story" for name in ("first", "second", "namer", "alias"))


@pytest.fixture
def filled_store(engine):
    """Two articles, an alias, a link to it, a stub, and a dead letter."""

    def put(url, amp=None, related=()):
        return Put("s", None, url, amp, related, "A", "x", None, "AAAA")

    events = [put(FIRST, ALIAS), put(SECOND), put(NAMER, related=(ALIAS, "https://stub.example/story"))]
    work(engine, "documents", [entry(number, event) for number, event in enumerate(events)])


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 30))])
def test_any_history_leaves_a_consistent_store(engine, seed):
    random = Random(seed)
    events = history(random, documents=5, length=12)
    StoreDriver(random, events, batches_of(random, events)).run(engine)

    assert broken_rules(engine) == set()


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (
            update(articles).where(articles.c.canonical_url == FIRST).values(url_hash=b"x" * 16),
            {"documents", "orphans"},
        ),
        (update(articles).where(articles.c.canonical_url == FIRST).values(document_id=-1), {"source documents"}),
        (update(documents).where(documents.c.key == SECOND).values(retracted=True), {"orphans"}),
        (update(links).values(target_id=None), {"links"}),
        (delete(article_urls).where(article_urls.c.url == ALIAS), {"links"}),
        (update(links).values(target_id=-1), {"references", "links"}),
        (insert(links).values(source_id=-1, kind="similar", target_hash=b"x" * 16), {"references"}),
        (insert(images).values(article_id=-1, rank=0, url="https://i.example/1.jpg"), {"references"}),
        (update(article_topics).values(topic_id=-1), {"references"}),
        (delete(links), {"stubs"}),
        (delete(raw_documents), {"raw documents"}),
    ],
    ids=[
        "article gone",
        "wrong teller",
        "orphans",
        "link nowhere",
        "alias lost",
        "target gone",
        "source gone",
        "image of nothing",
        "topic gone",
        "stub unnamed",
        "raw lost",
    ],
)
def test_each_kind_of_damage_is_found(engine, filled_store, damage, found):
    with engine.begin() as connection:
        connection.execute(damage)

    assert broken_rules(engine) == found


def test_an_index_that_is_missing_is_found(engine, filled_store):
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_articles_published_at"))

    with engine.connect() as connection:
        assert {finding.check for finding in check(connection) if finding.count} == {"schema"}


def test_a_dead_letter_without_its_receipt_is_found(engine):
    rejected = Put("s", "k", "not a url", None, (), "one: two: A", "x", None, "AAAA")
    work(engine, "documents", [entry(1, rejected)])
    with engine.begin() as connection:
        connection.execute(delete(receipts))

    assert broken_rules(engine) == {"dead letters"}
