"""What a batch looks for. In a large store each look-up reads a page of its own, under the writer lock."""

from collections import Counter

import pytest

from worker.documents.limits import Limits
from worker.enrichment.urls.canonical_urls import url_hash
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.batches.load import SqlLoader
from worker.store.batches.load_queries import ALIAS_CLAIMS, ARTICLES, STUB_IMAGES
from worker.store.engine import make_engine

_URLS = [f"https://a{n}.example/ferry" for n in range(5)]
_RELATED = "https://b.example/boat"


@pytest.fixture
def engine(migrated_store_url, tmp_path):
    engine = make_engine(Settings(database_url=migrated_store_url, data_dir=tmp_path))
    yield engine
    engine.dispose()


@pytest.fixture
def looked_for(monkeypatch):
    """Return how often a query looks for each URL."""
    calls, original = [], SqlLoader.__init__

    def init(loader, engine, transaction):
        original(loader, engine, transaction)
        fetch = loader._fetch

        def counting(query, values):
            calls.extend((query, url) for url in values.get("urls", ()))
            return fetch(query, values)

        loader._fetch = counting

    monkeypatch.setattr(SqlLoader, "__init__", init)
    return lambda query: Counter(url for asked, url in calls if asked is query)


def test_a_new_article_is_looked_for_once_and_a_document_is_not_taken_for_a_url(engine, looked_for):
    raws = [f"---\ntitle: Ferry\nwebUrl: {url}\nrelated: [{{title: Boat, url: '{_RELATED}'}}]\n---\n" for url in _URLS]
    entries = [
        Claimed(
            f"{1_700_000_000_000 + n}-0",
            0,
            100,
            {b"raw": raw.encode(), b"source": b"s", b"key": b"%d" % n},
            truncated=False,
        )
        for n, raw in enumerate(raws)
    ]
    items = process(engine, Batch("documents", None, "test", 3, Limits()), entries, end_attempt=lambda: None)
    assert [str(item.outcome) for item in items] == ["stored"] * len(_URLS)
    own, related = {url_hash(url) for url in _URLS}, url_hash(_RELATED)
    assert looked_for(ARTICLES) == Counter(own) + Counter([related])
    assert looked_for(STUB_IMAGES) == Counter([related])
    assert looked_for(ALIAS_CLAIMS) == Counter(own) + Counter([related])
