"""Load what a decision needs, in at most three flights (`decide/stored.py` says what each holds)."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Engine

from worker.store.batches import load_queries as queries
from worker.store.batches.references import current_references
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
from worker.store.sql.flights import Flights, Result
from worker.telemetry.failpoints import failpoint

_IMAGES_AND_TOPICS = ("images", "article_topics")


class _Articles(NamedTuple):
    """Articles that are being loaded, and the newest documents that describe them."""

    articles: Result[rows.ArticleRow]
    sources: Result[rows.DocumentRow]


class SqlLoader:
    """Loads through a transaction under the writer lock. Its first flight also begins the transaction."""

    def __init__(self, engine: Engine, transaction: Flights) -> None:
        self._engine, self._transaction = engine, transaction
        self.held_since = 0.0
        """When the writer lock was obtained, as `time.perf_counter` counts; known after the first load."""
        self._ahead: frozenset[bytes] = frozenset()
        """The articles that the first load loaded for the second."""
        self._loaded: list[_Articles] = []

    def documents(self, keys: DocumentKeys) -> StoredDocuments:
        """Load the documents of a batch, and the articles that it describes: if none is stored, no second load follows."""
        fetch, dialect = self._transaction.fetch, self._engine.dialect.name
        locked_at = fetch(queries.CLOCK[dialect], {})
        receipts = fetch(queries.RECEIPTS, {"receipts": list(keys.receipts)})
        documents = fetch(queries.DOCUMENTS, {"doc_hashes": list(keys.doc_hashes)})
        places = [(*place, before) for place, before in keys.retractions.items()]
        reached = fetch(queries.REACHED, {"places": places, "step": keys.step + 1})
        raw = fetch(queries.RAW, {"raw": list(keys.raw)})
        replays = fetch(queries.REPLAYS, {"replays": list(keys.replays)})
        if not places:  # else it is not known yet which documents the batch knows
            self._ahead = frozenset(keys.described)
            self._fetch_articles(self._ahead, keys.doc_hashes)
        starts = fetch(queries.START[dialect], {})
        self._transaction.send()
        start = starts.rows[0]
        self.held_since = time.perf_counter() - (start.now - locked_at.rows[0].value)
        failpoint("store.turn")
        return StoredDocuments(
            now=datetime.fromtimestamp(start.now, UTC),
            next_ids=start._asdict(),
            references=current_references(self._engine, self._transaction, start.token),
            receipts={(row.lane, row.id): row for row in receipts.rows},
            documents={row.doc_hash: row for row in documents.rows},
            reached=reached.rows,
            raw=dict(raw.rows),
            replays={row.value for row in replays.rows},
        )

    def articles(self, keys: ArticleKeys) -> StoredArticles:
        fetch = self._transaction.fetch
        self._fetch_articles(set(keys.touched) - self._ahead, keys.known)
        absent = self._ahead - {row.url_hash for one in self._loaded for row in one.articles.rows}
        forms = fetch(queries.FORMS, {"forms": list(keys.forms)})
        keywords = fetch(queries.KEYWORDS, {"topics": list(keys.topics)})
        child_rows = {}
        for table, query in queries.CHILDREN.items():
            urls = keys.rewritten if table in _IMAGES_AND_TOPICS else keys.touched
            child_rows[table] = fetch(query, {"urls": list(set(urls) - absent)})
        self._transaction.send()
        children = Children()
        for table, result in child_rows.items():
            children.add(table, result.rows)
        articles = [row for one in self._loaded for row in one.articles.rows if row.url_hash in keys.touched]
        sources = [row for one in self._loaded for row in one.sources.rows if row.article_hash in keys.touched]
        return StoredArticles(
            articles={row.url_hash: row for row in articles},
            sources={row.article_hash: row for row in sources if row.article_hash is not None},
            forms=dict(forms.rows),
            children=children,
            keywords=dict(keywords.rows),
        )

    def _fetch_articles(self, touched: Collection[bytes], known: Collection[bytes]) -> None:
        articles = self._transaction.fetch(queries.ARTICLES, {"urls": list(touched)})
        sources = self._transaction.fetch(queries.SOURCES, {"touched": list(touched), "known": list(known)})
        self._loaded.append(_Articles(articles, sources))

    def urls(self, keys: UrlKeys) -> StoredUrls:
        fetch, urls = self._transaction.fetch, list(keys.urls)
        others = {
            "undescribed": list(keys.undescribed),
            "touched": list(keys.touched),
            "most": rows.MOST_NAMERS,
        }
        unnamed = list(keys.unnamed)
        articles = fetch(queries.ARTICLES, {"urls": urls})
        alias_claims = fetch(queries.ALIAS_CLAIMS, {"urls": urls, **others})
        targets = fetch(queries.TARGETS, {"urls": urls, "most": rows.MOST_NAMERS})
        namers = fetch(queries.NAMERS, {"urls": unnamed, **others})
        forms = fetch(queries.REVISED_FORMS, {"revised": list(keys.revised), "unnamed": unnamed})
        items = fetch(queries.ITEMS, {"items": list(keys.items)})
        images = fetch(queries.IMAGE_USES, {"images": list(keys.images)})
        stub_images = fetch(queries.STUB_IMAGES, {"urls": urls})
        providers = fetch(queries.PROVIDERS, {"domains": list(keys.domains)})
        shown_providers = fetch(queries.SHOWN_PROVIDERS, {"urls": unnamed})
        topics = fetch(queries.TOPIC_ROWS, {"slugs": list(keys.slugs)})
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
            providers={row.domain: row for row in (*providers.rows, *shown_providers.rows)},
            topics={row.slug: row for row in topics.rows},
        )
