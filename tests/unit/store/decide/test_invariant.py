"""The decision alone: after any history the store is a function of the latest version of each document."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.store.histories import KEYS, SITES, Put, Retract, batches_of, history
from tests.integration.store.store_driver import entry, versions_of
from tests.unit.store.decide.memory_store import MemoryStore

_SHOWN = (
    "canonical_url", "kind", "title", "published_at", "quality", "heat", "is_published", "provider_name", "image_url",
    "is_stub", "secured", "content_hash", "revision", "link_state",
)  # fmt: skip


def state(store):
    """Return everything that must be a function of the latest versions: no ids, receipts and times."""
    articles = {row["id"]: row["url_hash"] for row in store.rows("articles")}
    documents = {row["id"]: (row["source"], row["key"]) for row in store.rows("documents")}
    slugs = {row["id"]: row["slug"] for row in store.rows("topics")}
    return {
        "articles": {
            row["url_hash"]: {
                **{name: row[name] for name in _SHOWN},
                "document": documents.get(row["document_id"]),
                "named by": articles.get(row["named_by"]),
                "lead": articles.get(row["lead_id"]),
            }
            for row in store.rows("articles")
            if row["orphaned_at"] is None
        },
        "orphans": [row for row in store.rows("articles") if row["orphaned_at"] and (row["title"] or not row["is_stub"])],
        "documents": {
            (row["source"], row["key"]): [row[name] for name in ("revision", "retracted", "article_hash", "content_hash", "form", "secured")]
            for row in store.rows("documents")
        },
        "links": {
            (articles[row["source_id"]], row["kind"], row["target_hash"]): (articles.get(row["target_id"]), row["rank"])
            for row in store.rows("links")
        },
        "claims": sorted((articles[row["article_id"]], row["claim"], row["url"]) for row in store.rows("article_urls")),
        "images": sorted(
            (articles[row["article_id"]], row["rank"], row["url"], row["is_placeholder"]) for row in store.rows("images")
        ),
        "topics": sorted(
            (articles[row["article_id"]], slugs[row["topic_id"]], row["rank"], row["origin"])
            for row in store.rows("article_topics")
        ),
        "providers": {
            row["domain"]: (row["name"], row["other_names"], documents.get(row["document_id"]))
            for row in store.rows("providers") if row["document_id"] or row["name"] or row["other_names"]
        },
        "placeholders": sorted(row["url"] for row in store.rows("placeholder_images")),
    }  # fmt: skip


def latest(events):
    """Return the numbers of the events that are the latest version of some document."""
    newest = {}
    for number, event in enumerate(events):
        newest.update(versions_of(number, event))
    return sorted({number for number, _ in newest.values()})


def ends_as_the_latest_versions_alone(seed, documents, length):
    random = Random(seed)
    events = history(random, documents=documents, length=length, rejected=0)
    store, alone = MemoryStore(step=random.choice((1, 2, 1000))), MemoryStore()
    for batch in batches_of(random, events):
        store.work([entry(number, event) for number, event in batch.items()])
        if random.random() < 0.3:
            store.settle()
    store.settle()
    for number in latest(events):
        alone.work([entry(number, events[number])])
        alone.settle()
    found, expected = state(store), state(alone)
    for part, rows in expected.items():
        assert found[part] == rows, part
    hold_by_themselves(store)


def hold_by_themselves(store):
    """Check rules that need no second store: every heat is the present one, every stub is named by its newest namer."""
    by_id = {row["id"]: row for row in store.rows("articles")}
    for row in by_id.values():
        if not row["is_stub"]:
            assert store.heat(row["id"]).items() <= row.items()
    for row in by_id.values():
        if row["is_stub"] and row["orphaned_at"] is None:
            namers = [by_id[one["source_id"]] for one in store.rows("links")
                      if one["kind"] == "related" and one["target_hash"] == row["url_hash"]]  # fmt: skip
            newest = max(namers, key=lambda one: (one["revision"], one["id"]))
            assert (row["named_by"], row["revision"]) == (newest["id"], newest["revision"])


_SIZES = (st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 14))


@given(*_SIZES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_order_and_redelivery_ends_as_the_latest_versions_alone(seed, documents, length):
    ends_as_the_latest_versions_alone(seed, documents, length)


@pytest.mark.long
@pytest.mark.timeout(0)
@given(*_SIZES)
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_histories_end_as_the_latest_versions_alone(seed, documents, length):
    ends_as_the_latest_versions_alone(seed, documents, length)


def test_a_batch_loads_three_times_at_most():
    store = MemoryStore()
    random = Random(1)
    for number, event in enumerate(history(random, documents=6, length=30, rejected=0)):
        before = store.loads
        store.work([entry(number, event)])
        assert store.loads - before <= 4, "three loads, and the first one again if a recognised document must be read"


def test_an_entry_that_comes_again_keeps_its_outcome():
    store = MemoryStore()
    events = [
        entry(number, event) for number, event in enumerate(history(Random(3), documents=3, length=6, rejected=0))
    ]
    first = store.work(events)
    rows = {name: {key: dict(row) for key, row in table.items()} for name, table in store.tables.items()}
    assert store.work(events) == first
    assert store.tables == rows


def test_a_retraction_that_comes_again_before_it_reached_all_documents_keeps_its_outcome():
    """Found by the long form: the documents that it reached were loaded, and no item of the batch asked for them."""
    url = SITES[0]
    documents = [Put("s", key, url, None, (), "A", "x", None, "AAAA") for key in KEYS]
    store = MemoryStore(step=1)
    for number, event in enumerate(documents):
        store.work([entry(number, event)])
    retraction = entry(2, Retract("s", url))
    assert store.work([retraction]) == ["retracted"]
    assert store.work([retraction, entry(3, documents[1])]) == ["retracted", "stored"]
    store.settle()
    assert [row["retracted"] for row in store.rows("documents") if row["key"] == KEYS[0]] == [True]
