"""Steps that write articles again: re-enrichment by changed reference documents, and retractions that reach many."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine

from worker.enrichment.document_json import document_from_json
from worker.enrichment.enriched_document import EnrichedDocument
from worker.enrichment.urls.canonical_urls import url_hash
from worker.heat_rules import AllRules
from worker.store.background.work_rows import IdWork, Progress
from worker.store.batches.apply import apply
from worker.store.batches.load import SqlLoader
from worker.store.batches.load_queries import CHILDREN
from worker.store.decide.article_rows import parts_of
from worker.store.decide.change_set import ChangeSet, ChildChanges
from worker.store.decide.decision import Context, decide_rows
from worker.store.decide.documents import DocumentChanges
from worker.store.decide.stored import Children, DocumentKeys, Key, StoredDocuments, UrlKeys, Values
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
        with flights(self._engine, locks=WRITER_LOCK, durable=False) as transaction:
            self._write_page(transaction, found, copies)
            progress.write(transaction, self._dialect)
            transaction.commit()
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
        self, transaction: Flights, page: Sequence[_Article], copies: Mapping[int, EnrichedDocument]
    ) -> None:
        changed = transaction.fetch(_CHANGED, {"ids": list(copies)})
        stored = transaction.fetch(CHILDREN["article_topics"], {"urls": [row.url_hash for row in page]})
        loader = SqlLoader(self._engine, transaction)
        loaded = loader.documents(DocumentKeys())
        times, before = dict(changed.rows), Children()
        before.add("article_topics", stored.rows)
        parts = {
            row.id: parts_of(copies[row.id], loaded.references) for row in page if times.get(row.id) == row.changed_at
        }
        topics = loader.urls(UrlKeys(slugs={slug for one in parts.values() for slug in one.topics})).topics
        rewritten: set[bytes] = set()
        topic_changes, changes = ChildChanges("article_topics"), ChangeSet()
        for row in page:
            if row.id not in parts:
                continue
            if row.title != parts[row.id].title or not topics.keys() >= parts[row.id].topics.keys():
                rewritten.add(row.url_hash)
            else:
                wanted: dict[Key, Values] = {
                    (topics[slug].id,): values for slug, values in parts[row.id].topics.items()
                }
                topic_changes.compare(row.id, before.of("article_topics", row.id), wanted)
        topic_changes.write(changes, {})
        self._decide_rows(transaction, DocumentChanges(), loader, loaded, changes, rewritten)

    def retract(self, reading: Flights, work: IdWork) -> int:
        """Continue the retraction of the URL that is the key of a document; returns how many documents it retracted."""
        found = reading.fetch(_RETRACTION, {"ids": [work.subject]})
        reading.commit()
        row = found.rows[0]
        keys = DocumentKeys(retractions=[(row.source, url_hash(row.key), row.url_retraction)], step=self._step)
        progress = Progress(self._now)
        with flights(self._engine, locks=WRITER_LOCK, durable=False) as transaction:
            loader = SqlLoader(self._engine, transaction)
            loaded = loader.documents(keys)
            documents = DocumentChanges()
            for one in loaded.reached[: self._step]:
                documents.add_stored(one)
                documents.retract(one.doc_hash)
            self._decide_rows(transaction, documents, loader, loaded, ChangeSet())
            if len(loaded.reached) <= self._step:
                progress.finish([work])
            else:
                progress.advance(work, 0, 0)
            progress.write(transaction, self._dialect)
            transaction.commit()
        return len(documents.documents)

    def _decide_rows(
        self,
        transaction: Flights,
        documents: DocumentChanges,
        loader: SqlLoader,
        loaded: StoredDocuments,
        changes: ChangeSet,
        rewritten: Collection[bytes] = (),
    ) -> None:
        context = Context(self._rules, "", loaded.now)
        decide_rows(documents, loaded, loader, context, changes, rewritten=rewritten)
        apply(transaction, self._dialect, changes)
