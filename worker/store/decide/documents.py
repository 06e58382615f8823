"""Decide the outcome of each version of a batch, and the state of each document after it. Pure: no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from schemas.problem import Problem, problem
from schemas.receipt import Outcome
from worker.enrichment.reference_documents import ReferenceCopy
from worker.enrichment.urls.canonical_urls import document_hash, url_hash
from worker.store.decide.batch_item import BatchItem
from worker.store.decide.identity import DocumentChange, DocumentState, decide_outcome, retracted
from worker.store.decide.rows.article_rows import PIPELINE_VERSION, ArticleParts
from worker.store.decide.stored import DocumentRow, Place, StoredDocuments, Subject

Content = ArticleParts | ReferenceCopy
"""The content of a document: what an article shows of it, or a reference document."""


@dataclass(slots=True)
class ItemResult:
    """What became of one item."""

    outcome: Outcome
    url: str | None = None
    article_id: int | None = None
    document_id: int | None = None
    changed: list[str] = field(default_factory=list)
    warnings: tuple[Problem, ...] = ()
    id_conflict: bool = False


@dataclass(slots=True)
class KnownDocument:
    """A document after the batch. `row`: as it is stored. `item`: the version that is its latest now, if it changed.
    `content`: set where the batch brings new content.
    """

    id: int
    source: str
    key: str
    state: DocumentState
    row: DocumentRow | None = None
    item: BatchItem | None = None
    content: Content | None = None

    @property
    def taxonomy(self) -> str | None:
        if self.content is not None:
            return self.content.taxonomy if isinstance(self.content, ReferenceCopy) else None
        return self.row.taxonomy if self.row else None

    @property
    def secured(self) -> str | None:
        if self.state.retracted:
            return None
        if self.item is None:
            return self.row.secured if self.row else None
        if self.item.copy is not None:
            return self.item.copy.secured
        kept = self.row.secured if self.row and self.item.recognised is not None else None
        return self.item.secured or kept

    @property
    def pipeline_version(self) -> int | None:
        if self.content is not None or self.row is None:
            return PIPELINE_VERSION
        return self.row.pipeline_version

    @property
    def is_changed(self) -> bool:
        return self.item is not None


@dataclass(slots=True)
class DocumentChanges:
    """The documents of a batch after it, by doc_hash.

    `touched`: url_hash of each article (and identity of each reference's subject) that a changed document described
    before or describes now. `moved`: doc_hash of each document that began or ceased to describe an article.
    `retracted`: those of the documents that a retraction of their URL reached. `updated`: (`id(item)`, doc_hash, content
    before, content after) of each update, whose changed fields are named when the old form is loaded.
    """

    documents: dict[bytes, KnownDocument] = field(default_factory=dict)
    results: dict[int, ItemResult] = field(default_factory=dict)
    touched: set[bytes] = field(default_factory=set)
    moved: set[bytes] = field(default_factory=set)
    retracted: set[bytes] = field(default_factory=set)
    subjects: dict[bytes, Subject] = field(default_factory=dict)
    url_retractions: dict[bytes, str] = field(default_factory=dict)
    unfinished: set[bytes] = field(default_factory=set)
    updated: list[tuple[int, bytes, Content | None, Content]] = field(default_factory=list)

    def by_article(self) -> dict[bytes, list[KnownDocument]]:
        """Return the live documents of the batch by what they describe."""
        live: dict[bytes, list[KnownDocument]] = {}
        for known in self.documents.values():
            if known.state.article_hash is not None and known.state.is_live:
                live.setdefault(known.state.article_hash, []).append(known)
        return live


def doc_hash_of(item: BatchItem) -> bytes:
    """Return the identity of the document of which `item` is a version."""
    return document_hash(item.source, item.doc_key or "")


def place_of(item: BatchItem) -> Place | None:
    """Return the source and the URL that `item` retracts; None if it retracts no URL."""
    key = item.doc_key or ""
    if item.op != "retract" or item.rejected or not key.startswith(("http://", "https://")):
        return None
    return item.source, url_hash(key)


def retracted_urls(items: Iterable[BatchItem]) -> dict[Place, str]:
    """Return the newest revision at which `items` retract each URL of a source."""
    newest: dict[Place, str] = {}
    for item in items:
        place = place_of(item)
        if place is not None:
            newest[place] = max(newest.get(place, ""), item.revision)
    return newest


def changed_together(items: Sequence[BatchItem]) -> list[BatchItem]:
    """Return the recognised items whose document another item of the batch may change: they must be read."""
    together = Counter(doc_hash_of(item) for item in items if item.doc_key)
    retractions = retracted_urls(items)
    return [
        item
        for item in items
        if item.recognised is not None
        and (together[doc_hash_of(item)] > 1 or (item.source, item.recognised[0]) in retractions)
    ]


def by_url(item: BatchItem) -> bytes | None:
    """Return the doc_hash of the document that keeps the source's retraction of the item's URL.

    A recognised version needs none: its document is live, so its URL is not retracted.
    """
    if item.copy is None or not item.copy.canonical_url:
        return None
    return document_hash(item.source, item.copy.canonical_url)


class _Documents:
    def __init__(self, items: Sequence[BatchItem], stored: StoredDocuments, step: int) -> None:
        self._stored, self._next = stored, stored.next_document
        self.changes = DocumentChanges()
        self._known = self.changes.documents
        reached = self._reach(items, stored, step)
        for row in (*stored.documents.values(), *reached):
            state = DocumentState(row.revision, row.article_hash, row.content_hash, row.retracted)
            self._known[row.doc_hash] = KnownDocument(row.id, row.source, row.key, state, row)
            if row.reference is not None and row.article_hash is not None:
                self.changes.subjects[row.article_hash] = row.reference.taxonomy, row.reference.subject

    def _reach(self, items: Sequence[BatchItem], stored: StoredDocuments, step: int) -> list[DocumentRow]:
        """Return the stored documents that retractions of URLs may reach in this batch: `step` of each URL."""
        tombstones = {place: doc_hash_of(item) for item in items if (place := place_of(item)) is not None}
        self._reachable: dict[Place, list[bytes]] = {place: [] for place in tombstones}
        reached = []
        for row in stored.reached:
            place = row.source, row.article_hash or b""
            if place not in self._reachable:
                continue  # the retraction has a receipt; background work reaches the rest
            if len(self._reachable[place]) < step:
                self._reachable[place].append(row.doc_hash)
                reached.append(row)
            else:
                self.changes.unfinished.add(tombstones[place])
        return reached

    def apply(self, item: BatchItem) -> ItemResult:
        doc_hash = doc_hash_of(item)
        known = self._known.get(doc_hash)
        before = known.state if known else DocumentState()
        at_url = self._known.get(by_url(item) or b"")
        limit = (at_url.row.url_retraction if at_url and at_url.row else None) or ""
        outcome, after = decide_outcome(before, _change(item), limit)
        result = ItemResult(outcome, item.copy.canonical_url if item.copy else None)
        if item.op == "retract":
            self._retract_url(item, doc_hash, result, was_live=before.is_live)
        if after is before:
            return result
        if known is None:
            known = self._known[doc_hash] = KnownDocument(self._next, item.source, item.doc_key or "", before)
            self._next += 1
        self._accept(item, doc_hash, known, after, result)
        return result

    def _accept(
        self, item: BatchItem, doc_hash: bytes, known: KnownDocument, after: DocumentState, result: ItemResult
    ) -> None:
        content: Content | None = item.parts or item.reference
        if item.reference is not None:
            self.changes.subjects[item.reference.url_hash] = item.reference.taxonomy, item.reference.subject
        if result.outcome is Outcome.UPDATED and content is not None:
            self.changes.updated.append((id(item), doc_hash, known.content, content))
        self.changes.touched |= {h for h in (known.state.article_hash, after.article_hash) if h is not None}
        known.state, known.item = after, item
        if after.retracted:
            known.content = None
        elif content is not None and (result.outcome is not Outcome.UNCHANGED or item.reprocessed):
            known.content = content
        place = item.source, after.article_hash or b""
        if place in self._reachable and doc_hash not in self._reachable[place]:
            self._reachable[place].append(doc_hash)

    def _retract_url(self, item: BatchItem, doc_hash: bytes, result: ItemResult, *, was_live: bool) -> None:
        place = place_of(item)
        reached = False
        if place is not None:
            before = self.changes.url_retractions.get(doc_hash, "")
            self.changes.url_retractions[doc_hash] = max(before, item.revision)
            for one in self._reachable[place]:
                known = self._known[one]
                if (
                    known.state.is_live
                    and known.state.article_hash == place[1]
                    and known.state.revision < item.revision
                ):
                    known.state, known.content, reached = retracted(known.state), None, True
                    self.changes.retracted.add(one)
        if reached and place is not None:
            self.changes.touched.add(place[1])
            result.outcome = Outcome.RETRACTED
        elif result.outcome is Outcome.RETRACTED and not was_live:
            result.warnings += (problem("nothing_to_retract", field="key", value=item.doc_key),)


def decide_documents(items: Sequence[BatchItem], stored: StoredDocuments, step: int) -> DocumentChanges:
    """Decide the outcome of each item in the order of their revisions; the results are by `id(item)`.

    `items` are not rejected. `step`: how many documents of each URL one transaction retracts.
    """
    documents = _Documents(items, stored, step)
    changes = documents.changes
    for item in sorted(items, key=lambda item: item.revision):
        changes.results[id(item)] = documents.apply(item)
    for item in items:
        result = changes.results[id(item)]
        known = changes.documents.get(doc_hash_of(item))
        result.document_id = known.id if known else None
    changes.moved = {
        doc_hash
        for doc_hash, known in changes.documents.items()
        if known.is_changed and (known.row is None or known.row.article_hash != known.state.article_hash)
    } | changes.retracted
    return changes


def _change(item: BatchItem) -> DocumentChange:
    if item.op == "retract":
        return DocumentChange(item.revision)
    content = item.copy or item.reference
    if content is not None:
        return DocumentChange(item.revision, content.url_hash, content.content_hash)
    return DocumentChange(item.revision, *(item.recognised or ()))
