"""Decide again what a URL means that very many articles name or claim, and point their links to it, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import count

from sqlalchemy import Engine

from worker.enrichment.document_json import document_from_json
from worker.enrichment.image_choice import image_hash
from worker.heat_rules import AllRules
from worker.store.background.work_rows import Progress, UrlWork, fetch_url_work
from worker.store.batches.apply import apply
from worker.store.batches.load import SqlLoader
from worker.store.batches.load_queries import ALIAS_CLAIMS, NAMERS
from worker.store.decide import stored as bounds
from worker.store.decide.article_writes import ArticleWrites
from worker.store.decide.change_set import PEERS, ChangeSet
from worker.store.decide.documents import DocumentChanges
from worker.store.decide.shared_rows import write_shared_rows
from worker.store.decide.source_documents import ArticleChanges
from worker.store.decide.stored import AliasClaimRow, DocumentKeys, NamerRow, StoredDocuments, UrlKeys
from worker.store.decide.url_resolution import Urls
from worker.store.engine import WRITER_LOCK
from worker.store.sql.flights import Flights, Result, flights
from worker.store.sql.query import One, Pair, Query
from worker.store.sql.statements import Statement
from worker.store.tables import articles

STEP_LINKS = 1000
"""Links that one step points elsewhere."""


_URL = {"url": (articles.c.url_hash,)}
_SHOWN: Query[Pair[int, str]] = Query(
    Pair, "SELECT id, revision FROM articles WHERE id {in ids} AND NOT is_stub", {"ids": (articles.c.id,)}
)
_NEXT_NAMERS: Query[One[int]] = Query(
    One,
    "SELECT source_id FROM links WHERE target_hash = ({table url}) AND kind IN ('related', 'contains') AND source_id > {value cursor}"
    " ORDER BY source_id LIMIT {limit most}",
    _URL,
)
_FIRST_TARGET: Query[One[int | None]] = Query(
    One,
    "SELECT target_id FROM links WHERE target_hash = ({table url}) AND kind IN ('related', 'contains')"
    " AND source_id <= {value cursor} ORDER BY source_id LIMIT 1",
    _URL,
)
_RETARGET = (
    "UPDATE links SET target_id = {0} WHERE target_hash = {0} AND kind IN ('related', 'contains')"
    " AND source_id > {0} AND source_id <= {0}"
)
_LAST_ID = 2**62


def target_step(engine: Engine, reading: Flights, work: UrlWork, rules: AllRules, now: datetime) -> int:
    """Decide what a URL means and what its stub shows, and point the next links to it; returns how many.

    The first step of a pass decides; the later ones point links where the first link points, because a batch that
    changes what the URL means adds the work again. The newest namer and alias_claim are found in `reading`, without the
    writer lock. If one of them changed meanwhile, the step changes nothing and returns 0. Raises SQLAlchemy's errors.
    """
    namer, alias_claim = _newest(reading, work) if work.cursor == 0 else (None, None)
    reading.commit()
    with flights(engine, locks=WRITER_LOCK, durable=False) as transaction:
        step = _Step(engine, transaction, work, rules, now)
        done = step.decide(namer, alias_claim) if work.cursor == 0 else step.proceed()
        step.progress.write(transaction, engine.dialect.name)
        transaction.commit()
        return done


def _newest(reading: Flights, work: UrlWork) -> tuple[NamerRow | None, AliasClaimRow | None]:
    all_ = {"urls": [work.subject], "unnamed": [work.subject], "undescribed": [], "touched": [], "most": _LAST_ID}
    namers, alias_claims = reading.fetch(NAMERS, all_), reading.fetch(ALIAS_CLAIMS, all_)
    reading.send()
    return namers.rows[0] if namers.rows else None, alias_claims.rows[0] if alias_claims.rows else None


class _Step:
    """The part of the step under the writer lock."""

    def __init__(self, engine: Engine, transaction: Flights, work: UrlWork, rules: AllRules, now: datetime) -> None:
        self._engine, self._dialect, self._transaction = engine, engine.dialect.name, transaction
        self._work, self._rules, self._now = work, rules, now
        self.progress = Progress(now)

    def decide(self, namer: NamerRow | None, alias_claim: AliasClaimRow | None) -> int:
        """Do the first step of a pass."""
        transaction, work = self._transaction, self._work
        newest = {(row.article_id, row.revision) for row in (namer, alias_claim) if row is not None}
        shown = transaction.fetch(_SHOWN, {"ids": [id_ for id_, _ in newest]})
        present, page = fetch_url_work(transaction, work), self._fetch_page()
        loader = SqlLoader(self._engine, transaction)
        loaded = loader.documents(DocumentKeys())
        if not present.rows or present.rows[0].cursor != work.cursor:
            return 0  # another process has done this step
        if newest != set(shown.rows):
            self.progress.advance(work, 0, 0)
            return 0
        target = self._decide(loader, loaded, namer, alias_claim)
        return self._retarget(target, page.rows)

    def proceed(self) -> int:
        """Do a later step of a pass."""
        work = self._work
        first = self._transaction.fetch(_FIRST_TARGET, {"url": [work.subject], "cursor": work.cursor})
        present, page = fetch_url_work(self._transaction, work), self._fetch_page()
        self._transaction.send()
        if not present.rows or present.rows[0].cursor != work.cursor:
            return 0
        if not first.rows:
            self.progress.advance(work, 0, 0)  # the links that this pass had done are gone: begin again
            return 0
        return self._retarget(first.rows[0].value, page.rows)

    def _fetch_page(self) -> Result[One[int]]:
        values = {"url": [self._work.subject], "cursor": self._work.cursor, "most": STEP_LINKS}
        return self._transaction.fetch(_NEXT_NAMERS, values)

    def _retarget(self, target: int | None, page: Sequence[One[int]]) -> int:
        """Point the links of a page to an article; after the last page, add the work on the heat of those who list it."""
        work, is_last = self._work, len(page) < STEP_LINKS
        text = _RETARGET.format("%s" if self._dialect == "postgresql" else "?")
        values = (target, work.subject, work.cursor, _LAST_ID if is_last else page[-1].value)
        self._transaction.execute(Statement(text, values))
        if is_last:
            changes = ChangeSet()
            changes.add_work(PEERS, [target])
            changes.write_work(self._now)
            apply(self._transaction, self._dialect, changes)
            self.progress.finish([work])
        else:
            self.progress.advance(work, page[-1].value, 0)
        return max(1, len(page))

    def _decide(
        self,
        loader: SqlLoader,
        stored: StoredDocuments,
        namer: NamerRow | None,
        alias_claim: AliasClaimRow | None,
    ) -> int | None:
        """Decide the URL as a batch does, but from the newest of all namers and alias_claims; returns its meaning.

        Claimants that are few are all loaded under the lock. A batch that changes one of many adds the work again.
        """
        subject = self._work.subject
        related = document_from_json(namer.form, None).related if namer else []
        mentioned = [one for one in related if one.url_hash == subject]
        images = {image_hash(image.url) for one in mentioned for image in one.images}
        domains = {one.provider.domain for one in mentioned if one.provider is not None}
        keys = UrlKeys({subject}, items={subject}, images=images, domains=domains)
        loaded = loader.urls(keys)
        loaded.namers = {subject: namer} if namer else {}
        if any(row.claims >= bounds.MOST_NAMERS for row in loaded.alias_claims.values()):
            loaded.alias_claims = {subject: alias_claim} if alias_claim else {}
        articles = ArticleChanges(count(stored.next_ids["articles"]))
        articles.children.add("images", loaded.stub_images)
        urls = Urls(articles, DocumentChanges(), keys, loaded)
        urls.popular.clear()
        urls.retargeted.clear()
        changes = ChangeSet()
        write_shared_rows(loaded, stored.next_ids, domains, {}, changes)
        ArticleWrites(articles, urls, loaded, self._rules, stored.now, changes).write()
        changes.write_work(stored.now)
        apply(self._transaction, self._dialect, changes)
        return urls.targets[subject]
