"""Steps that write articles again: re-enrichment by changed reference documents, and retractions that reach many."""

from __future__ import annotations

from collections import defaultdict
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
from worker.store.batches.prepare import SharedRows, prepare_shared
from worker.store.decide.article_sources import article_keys
from worker.store.decide.change_set import Operation
from worker.store.decide.decision import Context, Decision, StaleReferences, refresh
from worker.store.decide.documents import DocumentChanges, KnownDocument
from worker.store.decide.identity import DocumentState, retracted
from worker.store.decide.rows.article_rows import ArticleParts, Key, NotPrepared, Values, parts_of
from worker.store.decide.rows.child_rows import CHILD_KEYS, CHILD_VALUES, Difference
from worker.store.decide.rows.document_rows import write_documents
from worker.store.decide.stored import DocumentKeys, StoredArticles, StoredDocuments, TopicRow
from worker.store.engine import WRITER_LOCK
from worker.store.sql.flights import Flights, Query, flights
from worker.store.tables import article_topics, articles, documents

STEP_ARTICLES = 200
"""Articles that one step re-enriches. It takes about 0.1 s, which is how long a batch may have to wait for it."""
_NOTHING = DocumentKeys((), (), {}, (), ())


class _Id(NamedTuple):
    id: int


class _Article(NamedTuple):
    id: int
    url_hash: bytes
    title: str | None
    changed_at: datetime
    form: str
    secured: str | None


class _Change(NamedTuple):
    id: int
    changed_at: datetime


class _Retraction(NamedTuple):
    source: str
    key: str
    url_retraction: str


class _Count(NamedTuple):
    articles: int


_NEXT = "SELECT id FROM articles WHERE id > {{value cursor}} AND NOT is_stub{0} ORDER BY id LIMIT {{value most}}"
_ALL = Query(_Id, _NEXT.format(""), {}, [None])
_OF_PROVIDER = Query(_Id, _NEXT.format(" AND provider_id = {value subject}"), {}, [None])
_ARTICLES = Query(
    _Article,
    "SELECT a.id, a.url_hash, a.title, a.changed_at, d.form, d.secured FROM articles a"
    " JOIN documents d ON d.id = a.document_id WHERE a.id {in ids} AND NOT a.is_stub",
    {"ids": (articles.c.id,)},
    [None, None, None, articles.c.changed_at, None, None],
)
_COUNT_ALL = Query(_Count, "SELECT count(*) AS articles FROM articles WHERE NOT is_stub", {}, [None])
_COUNT_OF_PROVIDER = Query(
    _Count, "SELECT count(*) AS articles FROM articles WHERE NOT is_stub AND provider_id = {value subject}", {}, [None]
)
_CHANGED = Query(
    _Change,
    "SELECT id, changed_at FROM articles WHERE id {in ids}",
    {"ids": (articles.c.id,)},
    [None, articles.c.changed_at],
)
_TOPICS = Query(
    TopicRow,
    "SELECT article_id, topic_id, rank, origin FROM article_topics WHERE article_id {in ids}",
    {"ids": (articles.c.id,)},
    [article_topics.c[name] for name in TopicRow._fields],
)
_RETRACTION = Query(
    _Retraction,
    "SELECT source, key, url_retraction FROM documents WHERE id {in ids}",
    {"ids": (documents.c.id,)},
    [None, None, None],
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
        pages = [reading.fetch(_OF_PROVIDER if one["subject"] else _ALL, one) for one in values]
        reading.send()
        ids: set[int] = set()
        unfinished: list[tuple[IdWork, list[_Id]]] = []
        for row, page in zip(work, pages, strict=True):
            if len(ids) >= STEP_ARTICLES:
                break
            ids.update(one.id for one in page.rows)
            if len(page.rows) < STEP_ARTICLES:
                progress.finish([row])
            else:
                unfinished.append((row, page.rows))
        found = reading.fetch(_ARTICLES, {"ids": sorted(ids)})
        totals = [
            reading.fetch(_COUNT_OF_PROVIDER if row.subject else _COUNT_ALL, {"subject": row.subject})
            for row, _ in unfinished
            if row.cursor == 0
        ]
        reading.commit()
        for row, rows in unfinished:  # one at most
            total = totals[0].rows[0].articles if totals else row.total
            progress.advance(row, rows[-1].id, row.done + len(rows), total)
        return found.rows

    def _write_page(
        self, transaction: Flights, shared: SharedRows, page: Sequence[_Article], parts: dict[int, ArticleParts]
    ) -> None:
        changed = transaction.fetch(_CHANGED, {"ids": list(parts)})
        stored = transaction.fetch(_TOPICS, {"ids": list(parts)})
        loader, loaded = self._begin(transaction, shared)
        times = {row.id: row.changed_at for row in changed.rows}
        rows = [row for row in page if times.get(row.id) == row.changed_at]
        before: dict[int, dict[Key, Values]] = defaultdict(dict)
        for topic in stored.rows:
            before[topic.article_id][(topic.topic_id,)] = (topic.rank, topic.origin)
        retitled = {row.url_hash for row in rows if row.title != parts[row.id].title}
        difference, decision = Difference(), Decision()
        for row in rows:
            if row.url_hash not in retitled:
                difference.compare(row.id, before[row.id], parts[row.id].children["article_topics"])
        key, names = CHILD_KEYS["article_topics"], (*CHILD_KEYS["article_topics"], *CHILD_VALUES["article_topics"])
        for operation, columns, changes in (
            (Operation.DELETE, key, difference.removed),
            (Operation.INSERT, names, difference.added),
            (Operation.UPDATE, names, difference.changed),
        ):
            decision.changes.add("article_topics", operation, columns, key, changes)
        self._refresh(transaction, DocumentChanges(), loader, loaded, shared, decision, retitled)

    def retract(self, reading: Flights, work: IdWork) -> int:
        """Continue the retraction of the URL that is the key of a document; returns how many documents it retracted."""
        found = reading.fetch(_RETRACTION, {"ids": [work.subject]})
        reading.commit()
        row = found.rows[0]
        place = row.source, url_hash(row.key)
        retracted_now: list[int] = []

        def write(transaction: Flights, shared: SharedRows) -> None:
            progress = Progress(self._now)
            loader, loaded = self._begin(transaction, shared, DocumentKeys((), (), {place: row.url_retraction}, (), ()))
            changes, decision = DocumentChanges(), Decision()
            for one in loaded.reached[: self._step]:
                state = retracted(DocumentState(one.revision, one.article_hash, one.content_hash, one.retracted))
                changes.documents[one.doc_hash] = KnownDocument(one.id, one.source, one.key, state, one)
            changes.retracted = changes.moved = set(changes.documents)
            changes.touched = {place[1]}
            write_documents(changes, decision.changes, self._now)
            self._refresh(transaction, changes, loader, loaded, shared, decision)
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
                with flights(self._engine, locks=WRITER_LOCK) as transaction:
                    write(transaction, shared)
                    transaction.commit()
            except NotPrepared as missing:
                more.append(missing.content)
            except StaleReferences:
                continue
            else:
                return

    def _begin(
        self, transaction: Flights, shared: SharedRows, keys: DocumentKeys = _NOTHING
    ) -> tuple[SqlLoader, StoredDocuments]:
        loader = SqlLoader(transaction, self._dialect, step=self._step)
        loaded = loader.documents(keys)
        if (loaded.token, loaded.deletions) != (shared.references.token, shared.deletions):
            raise StaleReferences
        return loader, loaded

    def _refresh(
        self,
        transaction: Flights,
        changes: DocumentChanges,
        loader: SqlLoader,
        loaded: StoredDocuments,
        shared: SharedRows,
        decision: Decision,
        rewritten: Collection[bytes] = (),
    ) -> None:
        touched = changes.touched or rewritten
        stored = loader.articles(article_keys(changes, rewritten)) if touched else StoredArticles()
        context = Context(shared, shared.references.token, "", self._rules, "", self._now)
        refresh(changes, stored, loaded.next_article, loader, context, decision, rewritten)
        decision.work.write(decision.changes, self._now)
        apply(transaction, self._dialect, decision.changes)
