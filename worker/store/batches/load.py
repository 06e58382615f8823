"""Load what a decision needs, in at most three flights (`decide/stored.py` says what each holds)."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from worker.store.batches import load_queries as queries
from worker.store.decide import stored as rows
from worker.store.decide.stored import (
    ArticleKeys,
    Children,
    DocumentKeys,
    StoredArticles,
    StoredDocuments,
    StoredUrls,
    UrlKeys,
)
from worker.store.sql.flights import Flights
from worker.telemetry.failpoints import failpoint


class SqlLoader:
    """Loads through a transaction under the writer lock. Its first flight also begins the transaction."""

    def __init__(self, transaction: Flights, dialect: str) -> None:
        self._transaction, self._dialect = transaction, dialect
        self.held_since = 0.0
        """When the writer lock was obtained, as `time.perf_counter` counts; known after the first load."""

    def documents(self, keys: DocumentKeys) -> StoredDocuments:
        fetch = self._transaction.fetch
        locked = fetch(queries.CLOCK[self._dialect], {})
        receipts = fetch(queries.RECEIPTS, {"receipts": list(keys.receipts)})
        documents = fetch(queries.DOCUMENTS, {"doc_hashes": list(keys.doc_hashes)})
        places = [(*place, before) for place, before in keys.retractions.items()]
        reached = fetch(queries.REACHED, {"places": places, "step": keys.step + 1})
        raw = fetch(queries.RAW, {"raw": list(keys.raw)})
        replays = fetch(queries.REPLAYS, {"replays": list(keys.replays)})
        tokens = fetch(queries.TOKENS, {})
        next_ids = fetch(queries.NEXT[self._dialect], {})
        loaded = fetch(queries.CLOCK[self._dialect], {})
        self._transaction.send()
        self.held_since = time.perf_counter() - (loaded.rows[0].value - locked.rows[0].value)
        failpoint("store.turn")
        return StoredDocuments(
            now=datetime.fromtimestamp(loaded.rows[0].value, UTC),
            receipts={(row.lane, row.id): row for row in receipts.rows},
            documents={row.doc_hash: row for row in documents.rows},
            reached=reached.rows,
            raw={row.value for row in raw.rows},
            replays={row.value for row in replays.rows},
            tokens=dict(tokens.rows),
            next_document=next_ids.rows[0].document,
            next_article=next_ids.rows[0].article,
        )

    def articles(self, keys: ArticleKeys) -> StoredArticles:
        fetch, touched = self._transaction.fetch, list(keys.touched)
        articles = fetch(queries.ARTICLES, {"urls": touched})
        sources = fetch(queries.SOURCES, {"touched": touched, "known": list(keys.known)})
        forms = fetch(queries.FORMS, {"forms": list(keys.forms)})
        links = fetch(queries.LINKS, {"urls": touched})
        claims = fetch(queries.CLAIMS, {"urls": touched})
        images = fetch(queries.IMAGES, {"urls": list(keys.rewritten)})
        topics = fetch(queries.TOPICS, {"urls": list(keys.rewritten)})
        keywords = fetch(queries.KEYWORDS, {"topics": list(keys.topics)})
        self._transaction.send()
        children = Children()
        for table, found in (
            ("links", links),
            ("article_urls", claims),
            ("images", images),
            ("article_topics", topics),
        ):
            children.add(table, found.rows)
        return StoredArticles(
            articles={row.url_hash: row for row in articles.rows},
            sources={row.article_hash: row for row in sources.rows if row.article_hash is not None},
            forms=dict(forms.rows),
            children=children,
            keywords=dict(keywords.rows),
        )

    def urls(self, keys: UrlKeys) -> StoredUrls:
        fetch, urls = self._transaction.fetch, list(keys.urls)
        others = {"left": list(keys.left), "touched": list(keys.touched), "most": rows.MOST_NAMERS}
        unnamed = list(keys.unnamed)
        articles = fetch(queries.ARTICLES, {"urls": urls})
        alias_claims = fetch(queries.ALIAS_CLAIMS, {"urls": urls, **others})
        targets = fetch(queries.TARGETS, {"urls": urls, "most": rows.MOST_NAMERS})
        namers = fetch(queries.NAMERS, {"urls": unnamed, **others})
        forms = fetch(queries.REVISED_FORMS, {"revised": list(keys.revised), "unnamed": unnamed})
        items = fetch(queries.ITEMS, {"items": list(keys.items)})
        images = fetch(queries.IMAGE_USES, {"images": list(keys.images)})
        stub_images = fetch(queries.STUB_IMAGES, {"urls": urls})
        providers = fetch(queries.PROVIDERS, {"providers": list(keys.providers)})
        self._transaction.send()
        return StoredUrls(
            articles={row.url_hash: row for row in articles.rows},
            alias_claims={row.url_hash: row for row in alias_claims.rows},
            targets={row.target_hash: row for row in targets.rows},
            namers={row.url_hash: row for row in namers.rows},
            forms=dict(forms.rows),
            items=dict(items.rows),
            images={row.url_hash: row for row in images.rows},
            stub_images=stub_images.rows,
            providers=dict(providers.rows),
        )
