"""Load what a decision needs, in at most three flights (`decide/stored.py` says what each holds)."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import Engine

from worker.store.batches import load_queries as queries
from worker.store.batches.references import current_references
from worker.store.decide import stored as bounds
from worker.store.decide.stored import (
    ArticleKeys,
    ArticleRow,
    Children,
    DocumentKeys,
    DocumentRow,
    StoredArticles,
    StoredDocuments,
    StoredUrls,
    UrlKeys,
)
from worker.store.sql.flights import Flights, Result
from worker.telemetry.failpoints import failpoint

_OF_WRITTEN_ARTICLES = ("images", "article_topics")
"""The child tables that are not needed of an article of which only the revision changes."""


class SqlLoader:
    """Loads through a transaction under the writer lock. Its first flight also begins the transaction."""

    def __init__(self, engine: Engine, transaction: Flights) -> None:
        self._engine, self._transaction, self._fetch = engine, transaction, transaction.fetch
        self.held_since = 0.0
        """When the writer lock was obtained, as `time.perf_counter` counts; known after the first load."""
        self._ahead: Collection[bytes] = ()
        """The articles that the first load loaded for the second."""
        self._absent: Collection[bytes] = ()
        """Those of them that are not stored. The later loads do not look for them again."""
        self._articles: list[Result[ArticleRow]] = []
        self._sources: list[Result[DocumentRow]] = []

    def documents(self, keys: DocumentKeys) -> StoredDocuments:
        """Load the documents of a batch, and the articles that it describes: if none is stored, no second load follows."""
        fetch, values, dialect = self._fetch, keys._asdict(), self._engine.dialect.name
        locked_at = fetch(queries.CLOCK[dialect], {})
        receipts = fetch(queries.RECEIPTS, values)
        documents = fetch(queries.DOCUMENTS, values)
        reached = fetch(queries.REACHED, values)
        raw = fetch(queries.RAW, values)
        replays = fetch(queries.REPLAYS, values)
        if not keys.retractions:  # else it is not known yet which documents the batch knows
            self._ahead = keys.described
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
        fetch, values = self._fetch, keys._asdict()
        absent = self._absent = set(self._ahead).difference(row.url_hash for one in self._articles for row in one.rows)
        self._fetch_articles(set(keys.touched).difference(self._ahead), keys.known)
        forms = fetch(queries.FORMS, values)
        child_rows = {}
        for table, query in queries.CHILDREN.items():
            urls = keys.rewritten if table in _OF_WRITTEN_ARTICLES else keys.touched
            child_rows[table] = fetch(query, {"urls": set(urls) - absent})
        self._transaction.send()
        children = Children()
        for table, result in child_rows.items():
            children.add(table, result.rows)
        articles = [row for one in self._articles for row in one.rows if row.url_hash in keys.touched]
        sources = [row for one in self._sources for row in one.rows if row.article_hash in keys.touched]
        return StoredArticles(
            articles={row.url_hash: row for row in articles},
            sources={row.article_hash: row for row in sources if row.article_hash is not None},
            forms=dict(forms.rows),
            children=children,
        )

    def _fetch_articles(self, touched: Collection[bytes], known: Collection[bytes]) -> None:
        self._articles.append(self._fetch(queries.ARTICLES, {"urls": touched}))
        self._sources.append(self._fetch(queries.SOURCES, {"touched": touched, "known": known}))

    def urls(self, keys: UrlKeys) -> StoredUrls:
        fetch, values = self._fetch, keys._asdict() | {"most": bounds.MOST_NAMERS}
        stored = {"urls": set(keys.urls).difference(self._absent)}
        articles = fetch(queries.ARTICLES, stored)
        alias_claims = fetch(queries.ALIAS_CLAIMS, values)
        targets = fetch(queries.TARGETS, {"linked": {*keys.urls, *keys.reassigned}, "most": bounds.MOST_NAMERS})
        namers = fetch(queries.NAMERS, values)
        forms = fetch(queries.REVISED_FORMS, values)
        items = fetch(queries.ITEMS, values)
        images = fetch(queries.IMAGE_USES, values)
        stub_images = fetch(queries.STUB_IMAGES, stored)
        providers = fetch(queries.PROVIDERS, values)
        shown_providers = fetch(queries.SHOWN_PROVIDERS, values)
        topics = fetch(queries.TOPIC_ROWS, values)
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
