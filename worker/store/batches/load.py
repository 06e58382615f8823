"""Load what a decision needs, in at most three flights (`decide/stored.py` says what each holds)."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
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
from worker.store.sql.flights import Flights, Result
from worker.store.sql.query import One
from worker.telemetry.failpoints import failpoint


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """What the first flight loaded for the second load. `touched`, `known`: see `ArticleKeys`."""

    touched: set[bytes]
    known: set[bytes]
    articles: Result[rows.ArticleRow]
    sources: Result[rows.DocumentRow]


class SqlLoader:
    """Loads through a transaction under the writer lock. Its first flight also begins the transaction."""

    def __init__(self, transaction: Flights, dialect: str) -> None:
        self._transaction, self._dialect = transaction, dialect
        self.held_since = 0.0
        """When the writer lock was obtained, as `time.perf_counter` counts; known after the first load."""
        self.drawn: dict[str, int] = {}
        """Table → the id that the first load drew for a new row."""
        self._locked_at: Result[One[float]] | None = None
        self._documents: StoredDocuments | None = None
        self._foreseen: _Foreseen | None = None

    def note_lock(self) -> None:
        """Queue the query that measures since when the lock is held, where other statements come before the first load."""
        self._locked_at = self._transaction.fetch(queries.CLOCK[self._dialect], {})

    def load_ahead(self, keys: DocumentKeys, touched: Collection[bytes]) -> StoredDocuments:
        """Do the first load before `decide` asks for it, together with what is queued in the transaction.

        What is queued stores the raw bytes of the batch. `touched`: the articles that the batch describes if all its
        documents are new. They are loaded too, because the second load has nothing to do if none of them is stored.
        """
        articles, sources = self._fetch_articles(touched, keys.doc_hashes)
        self._foreseen = _Foreseen(set(touched), set(keys.doc_hashes), articles, sources)
        self._documents = self.documents(replace(keys, raw=()))
        self._documents.raw.update(keys.raw)
        return self._documents

    def documents(self, keys: DocumentKeys) -> StoredDocuments:
        if self._documents is not None:
            return self._documents
        fetch = self._transaction.fetch
        if self._locked_at is None:
            self.note_lock()
        receipts = fetch(queries.RECEIPTS, {"receipts": list(keys.receipts)})
        documents = fetch(queries.DOCUMENTS, {"doc_hashes": list(keys.doc_hashes)})
        places = [(*place, before) for place, before in keys.retractions.items()]
        reached = fetch(queries.REACHED, {"places": places, "step": keys.step + 1})
        raw = fetch(queries.RAW, {"raw": list(keys.raw)})
        replays = fetch(queries.REPLAYS, {"replays": list(keys.replays)})
        tokens = fetch(queries.TOKENS, {})
        next_ids = fetch(queries.NEXT[self._dialect], {})
        self._transaction.send()
        drawn = next_ids.rows[0]
        self.drawn = {"documents": drawn.document, "articles": drawn.article}
        if self._locked_at is not None:
            self.held_since = time.perf_counter() - (drawn.now - self._locked_at.rows[0].value)
        failpoint("store.turn")
        return StoredDocuments(
            now=datetime.fromtimestamp(drawn.now, UTC),
            receipts={(row.lane, row.id): row for row in receipts.rows},
            documents={row.doc_hash: row for row in documents.rows},
            reached=reached.rows,
            raw={row.value for row in raw.rows},
            replays={row.value for row in replays.rows},
            tokens=dict(tokens.rows),
            next_document=drawn.document,
            next_article=drawn.article,
        )

    def articles(self, keys: ArticleKeys) -> StoredArticles:
        fetch, foreseen = self._transaction.fetch, self._foreseen
        touched, rewritten = set(keys.touched), set(keys.rewritten)
        # Other documents that the first load asked for are not stored.
        if foreseen is not None and foreseen.touched == touched and foreseen.known.issuperset(keys.known):
            articles, sources = foreseen.articles, foreseen.sources
            touched = {row.url_hash for row in articles.rows}
            rewritten &= touched
        else:
            articles, sources = self._fetch_articles(keys.touched, keys.known)
        forms = fetch(queries.FORMS, {"forms": list(keys.forms)})
        links = fetch(queries.LINKS, {"urls": list(touched)})
        claims = fetch(queries.CLAIMS, {"urls": list(touched)})
        images = fetch(queries.IMAGES, {"urls": list(rewritten)})
        topics = fetch(queries.TOPICS, {"urls": list(rewritten)})
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

    def _fetch_articles(
        self, touched: Collection[bytes], known: Collection[bytes]
    ) -> tuple[Result[rows.ArticleRow], Result[rows.DocumentRow]]:
        articles = self._transaction.fetch(queries.ARTICLES, {"urls": list(touched)})
        wanted = {"touched": list(touched), "known": list(known)}
        return articles, self._transaction.fetch(queries.SOURCES, wanted)

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
