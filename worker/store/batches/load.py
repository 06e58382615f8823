"""Load what a decision needs, in at most three flights (`decide/stored.py` says what each holds)."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from worker.store.batches import load_queries as queries
from worker.store.decide import stored as rows
from worker.store.decide.stored import (
    ArticleKeys,
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

    def __init__(self, transaction: Flights, dialect: str, *, step: int) -> None:
        """`step`: how many documents one transaction retracts by their URL."""
        self._transaction, self._dialect, self.step = transaction, dialect, step
        self.held_since = 0.0
        """When the writer lock was obtained, as `time.perf_counter` counts; known after the first load."""

    def documents(self, keys: DocumentKeys) -> StoredDocuments:
        fetch = self._transaction.fetch
        locked = fetch(queries.CLOCK[self._dialect], {})
        settled = fetch(queries.RECEIPTS, {"receipts": list(keys.receipts)})
        found = fetch(queries.DOCUMENTS, {"doc_hashes": list(keys.doc_hashes)})
        places = [(source, url_hash, before) for (source, url_hash), before in keys.retractions.items()]
        reached = fetch(queries.REACHED, {"places": places, "step": self.step + 1})
        raw = fetch(queries.RAW, {"raw": list(keys.raw)})
        replays = fetch(queries.REPLAYS, {"replays": list(keys.replays)})
        tokens = fetch(queries.TOKENS, {})
        next_ids = fetch(queries.NEXT[self._dialect], {})
        loaded = fetch(queries.CLOCK[self._dialect], {})
        self._transaction.send()
        token, deletions = queries.tokens_of(tokens.rows)
        self.held_since = time.perf_counter() - (loaded.rows[0].seconds - locked.rows[0].seconds)
        failpoint("store.turn")
        return StoredDocuments(
            now=datetime.fromtimestamp(loaded.rows[0].seconds, UTC),
            receipts={(row.lane, row.id): row for row in settled.rows},
            documents={row.doc_hash: row for row in found.rows},
            reached=reached.rows,
            raw={row.key for row in raw.rows},
            replays={row.id for row in replays.rows},
            token=token,
            deletions=deletions,
            next_document=next_ids.rows[0].document,
            next_article=next_ids.rows[0].article,
        )

    def articles(self, keys: ArticleKeys) -> StoredArticles:
        fetch, touched, rewritten = self._transaction.fetch, list(keys.touched), list(keys.rewritten)
        found = fetch(queries.ARTICLES, {"urls": touched})
        sources = fetch(queries.SOURCES, {"touched": touched, "known": list(keys.known)})
        forms = fetch(queries.FORMS, {"forms": list(keys.forms)})
        linked = fetch(queries.LINKS, {"urls": touched})
        claims = fetch(queries.CLAIMS, {"urls": touched})
        stub_images = fetch(queries.IMAGES, {"urls": rewritten})
        found_topics = fetch(queries.TOPICS, {"urls": rewritten})
        keywords = fetch(queries.KEYWORDS, {"topics": list(keys.topics)})
        self._transaction.send()
        return StoredArticles(
            articles={row.url_hash: row for row in found.rows},
            sources={row.article_hash: row for row in sources.rows},
            forms={row.id: row.form for row in forms.rows},
            links=linked.rows,
            claims=claims.rows,
            images=stub_images.rows,
            topics=found_topics.rows,
            keywords={row.slug: row for row in keywords.rows},
        )

    def urls(self, keys: UrlKeys) -> StoredUrls:
        fetch, urls, touched = self._transaction.fetch, list(keys.urls), list(keys.touched)
        unnamed, most = list(keys.unnamed), rows.MOST_NAMERS
        found = fetch(queries.ARTICLES, {"urls": urls})
        alias_claims = fetch(
            queries.ALIAS_CLAIMS,
            {"claimable": list(keys.claimable), "left": list(keys.left), "touched": touched, "most": most},
        )
        targets = fetch(queries.TARGETS, {"urls": urls, "most": most})
        namers = fetch(queries.NAMERS, {"unnamed": unnamed, "left": list(keys.left), "touched": touched, "most": most})
        forms = fetch(queries.MOVED_FORMS, {"moved": list(keys.moved), "unnamed": unnamed})
        items = fetch(queries.ITEMS, {"items": list(keys.items)})
        uses = fetch(queries.IMAGE_USES, {"images": list(keys.images)})
        stub_images = fetch(queries.STUB_IMAGES, {"urls": urls})
        names = fetch(queries.PROVIDERS, {"providers": list(keys.providers)})
        self._transaction.send()
        return StoredUrls(
            articles={row.url_hash: row for row in found.rows},
            alias_claims={row.url_hash: row for row in alias_claims.rows},
            targets={row.target_hash: target for row in targets.rows if (target := _target(row)) is not None},
            namers={row.url_hash: row for row in namers.rows},
            forms={row.id: row.form for row in forms.rows},
            items={row.doc_hash: row.article_id for row in items.rows},
            images={row.url_hash: row for row in uses.rows},
            stub_images=stub_images.rows,
            providers={row.id: row.name for row in names.rows},
        )


def _target(row: queries.Target) -> rows.TargetRow | None:
    if row.target_id is None:
        return None
    return rows.TargetRow(row.target_hash, row.target_id if row.target_id >= 0 else None, row.namers)
