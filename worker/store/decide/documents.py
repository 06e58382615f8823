"""Decide the outcome of each version of a batch, and the state of each document after it. Pure: no I/O."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from schemas.problem import problem
from schemas.receipt import Outcome
from worker.enrichment.reference_documents import ReferenceCopy, reference_from_form
from worker.enrichment.urls.canonical_urls import document_hash, url_hash
from worker.store.decide.article_rows import PIPELINE_VERSION, ArticleParts
from worker.store.decide.batch_item import BatchItem
from worker.store.decide.change_set import ChangeSet
from worker.store.decide.identity import decide_outcome, retracted
from worker.store.decide.stored import DocumentKeys, DocumentRow, Place, StoredDocuments, Values

Content = ArticleParts | ReferenceCopy
"""The content of a document: what an article shows of it, or a reference document."""


@dataclass(slots=True)
class Document:
    """A document after the batch. `stored`: before it; None: it is new. `content`: set where the batch brings it."""

    row: DocumentRow
    stored: DocumentRow | None
    content: Content | None = None

    @property
    def described_before(self) -> bytes | None:
        """The article that it described before the batch."""
        return self.stored.article_hash if self.stored is not None else None

    @property
    def is_reassigned(self) -> bool:
        """Whether it describes another article than before the batch, or one of the two is none."""
        return self.described_before != self.row.article_hash

    @property
    def is_shown(self) -> bool:
        """Whether its article showed it before the batch."""
        return self.stored is not None and self.stored.shown_by == self.row.id


def place_of(item: BatchItem) -> Place | None:
    """Return the source and the URL that `item` retracts; None if it retracts no URL."""
    key = item.doc_key or ""
    if item.op != "retract" or item.rejected or not key.startswith(("http://", "https://")):
        return None
    return item.source, url_hash(key)


def _retractions(items: Iterable[BatchItem]) -> dict[Place, BatchItem]:
    """Return the newest of `items` that retracts each URL of a source."""
    ordered = sorted(items, key=lambda item: item.revision)
    return {place: item for item in ordered if (place := place_of(item)) is not None}


def changed_together(items: Sequence[BatchItem]) -> list[BatchItem]:
    """Return the recognised items whose document another item of the batch may change: they must be read.

    Call it when all others are read: without a key, an item's document is not known before.
    """
    recognised = [(item, item.recognised[0]) for item in items if item.recognised is not None]
    together = Counter(item.doc_hash for item in items if item.doc_key) if recognised else Counter()
    places = _retractions(items)
    return [item for item, h in recognised if together[item.doc_hash] > 1 or (item.source, h) in places]


def document_keys(items: Sequence[BatchItem], step: int) -> DocumentKeys:
    """Return what must be loaded to decide the documents of a batch."""
    accepted = [item for item in items if not item.rejected]
    return DocumentKeys(
        receipts=_receipts(items),
        doc_hashes={item.doc_hash for item in accepted} | {h for item in accepted if (h := _by_url(item))},
        retractions=[(*place, item.revision) for place, item in _retractions(accepted).items()],
        step=step,
        raw={item.sha256 for item in items if item.sha256 is not None},
        replays={item.dead_letter for item in items if item.dead_letter is not None},
        described={h for item in accepted if (h := item.described[0]) is not None},
    )


def _receipts(items: Iterable[BatchItem]) -> set[tuple[str, str]]:
    return {(item.lane, id_) for item in items for id_ in item.receipt_ids}


def _by_url(item: BatchItem) -> bytes | None:
    """Return the doc_hash of the document that keeps the source's retraction of the item's URL.

    A recognised version needs none: its document is live, so its URL is not retracted.
    """
    if item.copy is None or not item.copy.canonical_url:
        return None
    return document_hash(item.source, item.copy.canonical_url)


@dataclass(slots=True)
class DocumentChanges:
    """The documents of a batch after it, by doc_hash.

    `touched`: url_hash of each article (and identity of each reference's subject) that a changed document described
    before or describes now. `subjects`: of reference documents, identity → taxonomy, and domain (organization) or slug
    (topic). `reachable`: the documents that a retraction of each URL reaches in this batch: a step of the stored ones,
    and all new ones. `unfinished`: documents whose retraction reaches more. `updated`: of each update the item, the
    document, and its content before and after.
    """

    next_id: Iterator[int] = field(default_factory=count)
    documents: dict[bytes, Document] = field(default_factory=dict)
    touched: set[bytes] = field(default_factory=set)
    subjects: dict[bytes, tuple[str, str]] = field(default_factory=dict)
    reachable: dict[Place, list[bytes]] = field(default_factory=dict)
    unfinished: set[bytes] = field(default_factory=set)
    updated: list[tuple[BatchItem, Document, Content | None, Content]] = field(default_factory=list)

    def newest(
        self, touched: Collection[bytes], others: Mapping[bytes, DocumentRow]
    ) -> Iterator[tuple[bytes, Document | None]]:
        """Yield what each article, or subject, shows: the newest live document that describes it, None if there is none.

        `others`: the newest of the documents that the batch does not know.
        """
        live = defaultdict[bytes | None, list[Document]](list)
        for document in self.documents.values():
            live[document.row.article_hash].append(document)
        for identity in sorted(touched):
            other = others.get(identity)
            candidates = [*live[identity], *([Document(other, other)] if other is not None else [])]
            yield identity, max(candidates, key=lambda one: one.row.revision, default=None)

    def add_stored(self, row: DocumentRow) -> None:
        self.documents[row.doc_hash] = Document(row, row)
        if row.form is not None and row.article_hash is not None:
            reference = reference_from_form(row.form)
            self.subjects[row.article_hash] = reference.taxonomy, reference.subject

    def retract(self, doc_hash: bytes) -> None:
        """Retract a document by its URL."""
        document = self.documents[doc_hash]
        self._touch(document.row)
        document.row, document.content = retracted(document.row), None

    def apply(self, item: BatchItem) -> None:
        """Apply a version. Those of one document come in the order of their revisions."""
        at_url = self.documents.get(_by_url(item) or b"")
        document = self.documents.get(item.doc_hash)
        if document is None:
            row = DocumentRow(
                next(self.next_id), item.doc_hash, item.source, item.doc_key or "", pipeline_version=PIPELINE_VERSION
            )
            document = self.documents[item.doc_hash] = Document(row, None)
        before = document.row
        url_retraction = (at_url.row.url_retraction if at_url is not None else None) or ""
        item.outcome, document.row = decide_outcome(before, item.revision, *item.described, url_retraction)
        item.document_id, item.url = before.id, item.copy.canonical_url if item.copy is not None else None
        if document.row is not before:
            self._accept(item, document, before)
        reaches_others = item.op == "retract" and self._retract_url(item, document)
        if item.outcome is Outcome.RETRACTED and not before.is_live and not reaches_others:
            item.problems += (problem("nothing_to_retract", field="key", value=item.doc_key),)

    def _touch(self, *rows: DocumentRow) -> None:
        self.touched.update(row.article_hash for row in rows if row.article_hash is not None)

    def _accept(self, item: BatchItem, document: Document, before: DocumentRow) -> None:
        content: Content | None = item.parts or item.reference
        row = document.row._replace(raw_sha256=item.sha256, fingerprint=item.fingerprint)
        self._touch(before, row)
        if item.reference is not None:
            self.subjects[item.reference.url_hash] = item.reference.taxonomy, item.reference.subject
        if item.outcome is Outcome.UPDATED and content is not None:
            self.updated.append((item, document, document.content, content))
        if row.retracted:
            document.content = None
        else:
            row = row._replace(secured=item.secured or (before.secured if item.recognised is not None else None))
            if content is not None and (item.outcome is not Outcome.UNCHANGED or item.reprocessed):
                document.content = content
                taxonomy = item.reference.taxonomy if item.reference is not None else None
                row = row._replace(pipeline_version=PIPELINE_VERSION, taxonomy=taxonomy)
        document.row = row
        reachable = self.reachable.get((item.source, row.article_hash or b""))
        if reachable is not None and row.doc_hash not in reachable:
            reachable.append(row.doc_hash)

    def _retract_url(self, item: BatchItem, document: Document) -> bool:
        """Retract the older documents of the source that show the URL, and keep the revision at which that was.

        Returns whether there are any.
        """
        place = place_of(item)
        if place is None:
            return False
        document.row = document.row._replace(url_retraction=max(document.row.url_retraction or "", item.revision))
        rows = [self.documents[doc_hash].row for doc_hash in self.reachable[place]]
        reached = [row.doc_hash for row in rows if row.article_hash == place[1] and row.revision < item.revision]
        for doc_hash in reached:
            self.retract(doc_hash)
            item.outcome = Outcome.RETRACTED
        return bool(reached)

    def write(self, writes: ChangeSet, now: datetime) -> None:
        """Write the documents that changed. The form is written with new content, and removed by a retraction."""
        new, rewritten, revised = list[Values](), list[Values](), list[Values]()
        for _, one in sorted(self.documents.items()):
            row, stored, content = one.row, one.stored, one.content
            values = (row.id, *row[4:-2], now)
            form = content.form if content is not None else None
            if stored is None:
                new.append((*values, form, *row[1:4]))
            elif content is not None or (row.retracted and row != stored):
                rewritten.append((*values, form))
            elif row != stored:
                revised.append(values)
        names = ("id", *DocumentRow._fields[4:-2], "changed_at")
        writes.insert("documents", (*names, "form", *DocumentRow._fields[1:4]), new)
        writes.update("documents", (*names, "form"), rewritten)
        writes.update("documents", names, revised)


def decide_documents(items: Sequence[BatchItem], stored: StoredDocuments, step: int) -> DocumentChanges:
    """Decide the outcome of each item in the order of their revisions.

    `items` are not rejected. `step`: how many documents of each URL one transaction retracts.
    """
    retractions = _retractions(items)
    changes = DocumentChanges(count(stored.next_ids["documents"]), reachable={place: [] for place in retractions})
    for row in stored.documents.values():
        changes.add_stored(row)
    for row in stored.reached:
        place = row.source, row.article_hash or b""
        if place not in retractions:
            continue  # the retraction has a receipt; background work reaches the rest
        if len(changes.reachable[place]) < step:
            changes.reachable[place].append(row.doc_hash)
            changes.add_stored(row)
        else:
            changes.unfinished.add(retractions[place].doc_hash)
    for item in sorted(items, key=lambda item: item.revision):
        changes.apply(item)
    return changes
