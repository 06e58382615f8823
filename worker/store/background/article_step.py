"""Steps that write articles again: re-enrichment by changed reference documents, and retractions that reach many."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine

from worker.enrichment.document_json import document_from_json
from worker.enrichment.enriched_document import EnrichedDocument
from worker.enrichment.reference_documents import ReferenceCopy
from worker.enrichment.urls.canonical_urls import url_hash
from worker.heat_rules import AllRules
from worker.store.background.work_rows import IdWork, Progress
from worker.store.batches.apply import apply
from worker.store.batches.load import SqlLoader
from worker.store.batches.load_queries import TOPICS
from worker.store.batches.prepare import SharedRows, prepare_shared
from worker.store.decide.change_set import ChangeSet
from worker.store.decide.decision import Context, refresh
from worker.store.decide.documents import DocumentChanges
from worker.store.decide.rows.article_rows import ArticleParts, parts_of
from worker.store.decide.rows.child_rows import Difference
from worker.store.decide.stored import Children, DocumentKeys, StoredArticles, StoredDocuments
from worker.store.decide.touched_articles import article_keys
from worker.store.decide.unprepared import Unprepared
from worker.store.engine import WRITER_LOCK
from worker.store.sql.flights import Flights, flights
from worker.store.sql.query import One, Pair, Query
from worker.store.tables import articles, documents

STEP_ARTICLES = 200
"""Articles that one step re-enriches. It takes about 0.1 s, which is how long a batch may have to wait for it."""


class _Article(NamedTuple):
    id: int
    url_hash: bytes
    title: str | None
    changed_at: datetime
    form: str
    secured: str | None


class _Retraction(NamedTuple):
    source: str
    key: str
    url_retraction: str


_IDS = {"ids": (articles.c.id,)}
_PAGE = " AND id > {value cursor} ORDER BY id LIMIT {limit most}"
_ALL = "FROM articles WHERE NOT is_stub"
_SUBJECTS = {True: f"{_ALL} AND provider_id = {{value subject}}", False: _ALL}
"""The articles of a provider, and all articles (subject 0)."""
_NEXT: dict[bool, Query[One[int]]] = {
    which: Query(One, f"SELECT id {those}{_PAGE}") for which, those in _SUBJECTS.items()
}
_COUNT: dict[bool, Query[One[int]]] = {
    which: Query(One, f"SELECT count(*) {those}") for which, those in _SUBJECTS.items()
}
_ARTICLES = Query(
    _Article,
    "SELECT a.id, a.url_hash, a.title, a.changed_at, d.form, d.secured FROM articles a"
    " JOIN documents d ON d.id = a.document_id WHERE a.id {in ids} AND NOT a.is_stub",
    _IDS,
    articles,
)
_CHANGED: Query[Pair[int, datetime]] = Query(
    Pair, "SELECT id, changed_at FROM articles WHERE id {in ids}", _IDS, articles, names=("id", "changed_at")
)
_RETRACTION = Query(
    _Retraction, "SELECT source, key, url_retraction FROM documents WHERE id {in ids}", {"ids": (documents.c.id,)}
)


class ArticleStep:
    """One step of re-enrichment or of a retraction. It decides as a batch does, under the writer lock."""

    def __init__(self, engine: Engine, rules: AllRules, now: datetime, retraction_step: int) -> None:
        self._engine, self._rules, self._now, self._step = engine, rules, now, retraction_step
        self._dialect = engine.dialect.name

    def reenrich(self, reading: Flights, work: Sequence[IdWork]) -> int:
        """Update titles and topics of the next articles by the current reference documents; returns how many.

        It reads in `reading`, without the writer lock. An article that was written meanwhile is left alone: its batch
        used the current reference documents.
        """
        progress = Progress(self._now)
        found = self._read_page(reading, work, progress)
        copies = {row.id: document_from_json(row.form, row.secured) for row in found}

        def write(transaction: Flights, shared: SharedRows) -> None:
            parts = {id_: parts_of(copy, shared) for id_, copy in copies.items()}
            self._write_page(transaction, shared, found, parts)
            progress.write(transaction, self._dialect)

        self._under_lock(copies.values(), write)
        return len(copies)

    def _read_page(self, reading: Flights, work: Sequence[IdWork], progress: Progress) -> Sequence[_Article]:
        """Return the next articles of as many subjects as one step takes, and note the progress."""
        values = [{"cursor": row.cursor, "subject": row.subject, "most": STEP_ARTICLES} for row in work]
        pages = [reading.fetch(_NEXT[bool(one["subject"])], one) for one in values]
        reading.send()
        ids: set[int] = set()
        unfinished: list[tuple[IdWork, list[One[int]]]] = []
        for row, page in zip(work, pages, strict=True):
            if len(ids) >= STEP_ARTICLES:
                break
            ids.update(one.value for one in page.rows)
            if len(page.rows) < STEP_ARTICLES:
                progress.finish([row])
            else:
                unfinished.append((row, page.rows))
        found = reading.fetch(_ARTICLES, {"ids": sorted(ids)})
        totals = [
            reading.fetch(_COUNT[bool(row.subject)], {"subject": row.subject})
            for row, _ in unfinished
            if row.cursor == 0
        ]
        reading.commit()
        for row, rows in unfinished:  # one at most
            total = totals[0].rows[0].value if totals else row.total
            progress.advance(row, rows[-1].value, row.done + len(rows), total)
        return found.rows

    def _write_page(
        self, transaction: Flights, shared: SharedRows, page: Sequence[_Article], parts: dict[int, ArticleParts]
    ) -> None:
        changed = transaction.fetch(_CHANGED, {"ids": list(parts)})
        stored = transaction.fetch(TOPICS, {"urls": [row.url_hash for row in page]})
        loader, loaded = self._begin(transaction, shared, DocumentKeys())
        times, before = dict(changed.rows), Children()
        before.add("article_topics", stored.rows)
        rows = [row for row in page if times.get(row.id) == row.changed_at]
        retitled = {row.url_hash for row in rows if row.title != parts[row.id].title}
        difference, changes = Difference("article_topics"), ChangeSet()
        for row in rows:
            if row.url_hash not in retitled:
                topics = before.of("article_topics", row.id)
                difference.compare(row.id, topics, parts[row.id].children["article_topics"])
        difference.write(changes, {})
        self._refresh(transaction, DocumentChanges(), loader, loaded, shared, changes, retitled)

    def retract(self, reading: Flights, work: IdWork) -> int:
        """Continue the retraction of the URL that is the key of a document; returns how many documents it retracted."""
        found = reading.fetch(_RETRACTION, {"ids": [work.subject]})
        reading.commit()
        row = found.rows[0]
        keys = DocumentKeys(retractions={(row.source, url_hash(row.key)): row.url_retraction}, step=self._step)
        retracted_now: list[int] = []

        def write(transaction: Flights, shared: SharedRows) -> None:
            progress = Progress(self._now)
            loader, loaded = self._begin(transaction, shared, keys)
            documents = DocumentChanges()
            for one in loaded.reached[: self._step]:
                documents.add_stored(one)
                documents.retract(one.doc_hash)
            self._refresh(transaction, documents, loader, loaded, shared, ChangeSet())
            if len(loaded.reached) <= self._step:
                progress.finish([work])
            else:
                progress.advance(work, 0, 0)
            progress.write(transaction, self._dialect)
            retracted_now[:] = [one.id for one in loaded.reached[: self._step]]

        self._under_lock((), write)
        return len(retracted_now)

    def _under_lock(self, contents: Collection[EnrichedDocument], write: Callable[[Flights, SharedRows], None]) -> None:
        """Call `write` in a transaction under the writer lock, again if the references or the names were not current."""
        more: list[EnrichedDocument | ReferenceCopy] = list(contents)
        while True:
            shared = prepare_shared(self._engine, more)
            try:
                with flights(self._engine, locks=WRITER_LOCK, durable=False) as transaction:
                    write(transaction, shared)
                    transaction.commit()
            except Unprepared as needed:
                more += needed.contents
            else:
                return

    def _begin(self, transaction: Flights, shared: SharedRows, keys: DocumentKeys) -> tuple[SqlLoader, StoredDocuments]:
        loader = SqlLoader(transaction, self._dialect)
        loaded = loader.documents(keys)
        if loaded.tokens != shared.tokens:
            raise Unprepared(is_stale=True)
        return loader, loaded

    def _refresh(
        self,
        transaction: Flights,
        documents: DocumentChanges,
        loader: SqlLoader,
        loaded: StoredDocuments,
        shared: SharedRows,
        changes: ChangeSet,
        rewritten: Collection[bytes] = (),
    ) -> None:
        touched = documents.touched or rewritten
        stored = loader.articles(article_keys(documents, rewritten)) if touched else StoredArticles()
        context = Context(shared, self._rules, "", loaded.now)
        refresh(documents, stored, loaded.next_article, loader, context, changes, rewritten)
        apply(transaction, self._dialect, changes)
