"""The decision of a batch: from what is stored and the items that came to a change set. No I/O of its own.

    receipts ─▶ documents ─▶ articles ─▶ URLs and stubs ─▶ rows

What is loaded next depends on what was found, so there are three loads (`stored.Loader`). The rules are in
`identity.py`; the order of the batches does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from schemas.receipt import Outcome
from worker.enrichment.document_json import document_from_json
from worker.enrichment.enriched_document import EnrichedDocument, changed_fields
from worker.enrichment.reference_documents import ReferenceCopy, changed_reference_fields
from worker.heat_rules import AllRules
from worker.store.decide.article_heat import Heat, differing_heat
from worker.store.decide.article_sources import ListedBefore, article_keys, decide_articles, url_keys
from worker.store.decide.article_writes import ArticleWrites
from worker.store.decide.batch_item import BatchItem
from worker.store.decide.change_set import RETRACT, ChangeSet, Work
from worker.store.decide.documents import (
    Content,
    DocumentChanges,
    ItemResult,
    by_url,
    changed_together,
    decide_documents,
    doc_hash_of,
    retracted_urls,
)
from worker.store.decide.reference_changes import decide_references
from worker.store.decide.rows.article_rows import ArticleParts, Shared
from worker.store.decide.rows.child_rows import stored_children
from worker.store.decide.rows.document_rows import write_documents
from worker.store.decide.rows.outcome_rows import write_dead_letters, write_raw, write_receipts
from worker.store.decide.stored import DocumentKeys, Loader, StoredArticles, StoredDocuments
from worker.store.decide.url_resolution import decide_urls

STEP_DOCUMENTS = 50
"""Documents of one URL that a transaction retracts at most. The rest is background work."""


class StaleReferences(Exception):
    """Raised when a reference document changed, or providers or topics were deleted, after the items were prepared:
    prepare them again.
    """


class Unrecognised(Exception):
    """Raised when recognised items must be read after all, because their stored documents changed meanwhile."""

    def __init__(self, items: list[BatchItem]) -> None:
        super().__init__("a stored document changed after it was recognised")
        self.items = items


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision needs besides rows.

    `token`: of the reference documents that `shared` knows. `new_token`: to set when one of them changes. `timings`:
    called when the rows of the receipts are made. `ready`: called with the writes that are decided so far, so that the
    database can work on them meanwhile: after the last load those of the documents, then those of the articles.
    `deletions`: of the deletions of providers and topics before `shared` was read. `now`: the time of the receipts by
    Redis's clock, like the arrival in their ids. What `decide` writes else has the store's (`StoredDocuments.now`):
    readers of changed articles continue where they were, so no later batch may write an earlier time.
    """

    shared: Shared
    token: str | None
    new_token: str
    rules: AllRules
    worker: str
    now: datetime
    timings: Callable[[], dict[str, float]] = dict
    step: int = STEP_DOCUMENTS
    ready: Callable[[ChangeSet], None] = lambda changes: None
    deletions: str | None = None


@dataclass(slots=True)
class Decision:
    """`changes`: the writes that `Context.ready` has not taken. `results`: what became of each item, by `id(item)`.

    `work`: background work to add. `fresh`: the items that had no receipt.
    """

    changes: ChangeSet = field(default_factory=ChangeSet)
    results: dict[int, ItemResult] = field(default_factory=dict)
    work: Work = field(default_factory=Work)
    fresh: list[BatchItem] = field(default_factory=list)

    @property
    def leaves_work(self) -> bool:
        return any(self.work.ids.values()) or any(self.work.hashes.values())


@dataclass(slots=True)
class Refreshed:
    """What the touched articles are now: url_hash → id, id → URL, id → heat."""

    ids: dict[bytes, int] = field(default_factory=dict)
    urls: dict[int, str | None] = field(default_factory=dict)
    heats: dict[int, Heat] = field(default_factory=dict)


def document_keys(items: Sequence[BatchItem]) -> DocumentKeys:
    """Return what must be loaded to decide the documents of a batch."""
    accepted = [item for item in items if not item.rejected]
    return DocumentKeys(
        receipts=[(item.lane, item.id) for item in items],
        doc_hashes={doc_hash_of(item) for item in accepted} | {h for item in accepted if (h := by_url(item))},
        retractions=retracted_urls(accepted),
        raw={item.sha256 for item in items if item.sha256 is not None},
        replays={item.dead_letter for item in items if item.dead_letter is not None},
    )


def decide(items: Sequence[BatchItem], loader: Loader, context: Context) -> Decision:
    """Decide a batch. Call it under the writer lock. Raises StaleReferences, Unrecognised and NotPrepared: roll back,
    do what they ask for, and decide again.
    """
    stored = loader.documents(document_keys(items))
    if (stored.token, stored.deletions) != (context.token, context.deletions):
        raise StaleReferences
    settled_at, context = context.now, replace(context, now=stored.now)
    decision = Decision()
    _repeat_outcomes(items, stored, decision)
    _confirm_recognised(decision.fresh, stored)
    accepted = [item for item in decision.fresh if not item.rejected]
    documents = decide_documents(accepted, stored, context.step)
    for item in decision.fresh:
        decision.results[id(item)] = documents.results.get(id(item)) or ItemResult(Outcome.REJECTED)
    articles = StoredArticles()
    if documents.touched:
        articles = loader.articles(article_keys(documents))
    _name_changed_fields(documents, articles)
    write_documents(documents, decision.changes, context.now)
    _write_url_retractions(documents, decision)
    decide_references(documents, articles, context.shared, decision.changes, decision.work, context.new_token)
    refreshed = refresh(documents, articles, stored.next_article, loader, context, decision)
    for item in accepted:
        _complete(item, decision.results[id(item)], documents, refreshed, context.rules)
    decision.work.write(decision.changes, context.now)
    outcomes = [(item, decision.results[id(item)]) for item in decision.fresh]
    write_raw(items, stored, decision.changes, context.now)
    write_dead_letters(decision.changes, outcomes, stored.replays, context.worker, context.now)
    write_receipts(decision.changes, outcomes, context.worker, settled_at, context.timings())
    return decision


def refresh(
    documents: DocumentChanges,
    stored: StoredArticles,
    next_article: int,
    loader: Loader,
    context: Context,
    decision: Decision,
    rewritten: Collection[bytes] = (),
) -> Refreshed:
    """Decide the articles that `documents` touch and all that depends on them; adds writes and work to `decision`.

    `rewritten`: articles that are written anew whatever their documents are. Raises NotPrepared.
    """
    if not (documents.touched | set(rewritten)) - documents.subjects.keys() and not documents.moved:
        return Refreshed()
    articles = decide_articles(documents, stored, context.shared, next_article, rewritten)
    before = ListedBefore.of(stored)
    keys = url_keys(articles, before, documents)
    loaded = loader.urls(keys)
    context.ready(decision.changes)
    urls = decide_urls(articles, before, documents, loaded, keys, context.shared, context.now)
    writes = ArticleWrites(
        articles, urls, stored_children(stored, loaded.stub_images), loaded, context.rules, context.now
    )
    writes.work = decision.work
    writes.write(decision.changes)
    context.ready(decision.changes)
    live = list(articles.live())
    shown = {one.id: one.row.canonical_url if one.row else None for _, one in live}
    shown |= {one.id: one.parts.copy.canonical_url for one in articles.published.values()}
    return Refreshed({url_hash: one.id for url_hash, one in live}, shown, writes.heats)


def _repeat_outcomes(items: Sequence[BatchItem], stored: StoredDocuments, decision: Decision) -> None:
    """Give items that have a receipt its outcome; the others are fresh."""
    for item in items:
        row = stored.receipts.get((item.lane, item.id))
        if row is None:
            decision.fresh.append(item)
            continue
        result = ItemResult(Outcome(row.outcome), row.url, row.article_id)
        result.id_conflict = (row.op, row.key, row.raw_sha256) != (item.op, item.key, item.sha256)
        decision.results[id(item)] = result


def _confirm_recognised(fresh: Sequence[BatchItem], stored: StoredDocuments) -> None:
    """Raise Unrecognised if a recognised item's document changed meanwhile, or if this batch may change it."""
    changed = changed_together(fresh)
    for item in fresh:
        row = stored.documents.get(doc_hash_of(item)) if item.recognised is not None else None
        if item.recognised is not None and (row is None or (row.article_hash, row.content_hash) != item.recognised):
            changed.append(item)
    if changed:
        raise Unrecognised(changed)


def _name_changed_fields(documents: DocumentChanges, stored: StoredArticles) -> None:
    """Set the names of the fields that each update changed."""
    for item, doc_hash, before, after in documents.updated:
        row = documents.documents[doc_hash].row
        old: EnrichedDocument | ReferenceCopy | None = before.copy if isinstance(before, ArticleParts) else before
        if old is None and row is not None:
            old = row.reference or document_from_json(stored.forms[row.id], None)
        documents.results[item].changed = _changed(old, after)


def _changed(old: EnrichedDocument | ReferenceCopy | None, new: Content) -> list[str]:
    if isinstance(old, EnrichedDocument) and isinstance(new, ArticleParts):
        return changed_fields(replace(old, secured=None), replace(new.copy, secured=None))
    if isinstance(old, ReferenceCopy) and isinstance(new, ReferenceCopy):
        return changed_reference_fields(old, new)
    return ["taxonomy"]


def _write_url_retractions(documents: DocumentChanges, decision: Decision) -> None:
    """Keep the newest retraction of each URL also where its document did not change, and add work for what one step does not reach."""
    rows = []
    for doc_hash, revision in sorted(documents.url_retractions.items()):
        known = documents.documents.get(doc_hash)
        if known is not None and known.row is not None and not known.is_changed:
            rows.append({"id": known.id, "url_retraction": max(known.row.url_retraction or "", revision)})
    decision.changes.update("documents", rows, ("id",))
    decision.work.add(RETRACT, (documents.documents[doc_hash].id for doc_hash in documents.unfinished))


def _complete(
    item: BatchItem, result: ItemResult, documents: DocumentChanges, refreshed: Refreshed, rules: AllRules
) -> None:
    """Set the article of an item, its URL, and the warning about the heat that its document reports."""
    known = documents.documents.get(doc_hash_of(item))
    article_hash = known.state.article_hash if known is not None else None
    result.article_id = refreshed.ids.get(article_hash) if article_hash else None
    if item.recognised is not None and result.article_id is not None:
        result.url = result.url or refreshed.urls[result.article_id]
    heat = refreshed.heats.get(result.article_id or 0)
    is_new = result.outcome in (Outcome.STORED, Outcome.UPDATED)
    if heat is not None and item.copy is not None and is_new and rules.warns(item.source):
        warning = differing_heat(heat, item.copy.reported_heat, item.copy.reported_published)
        result.warnings += (warning,) if warning is not None else ()
