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
from worker.enrichment.heat import differing_heat
from worker.enrichment.reference_documents import (
    ReferenceCopy,
    References,
    changed_reference_fields,
    reference_from_form,
)
from worker.heat_rules import AllRules
from worker.store.decide.article_rows import ArticleParts, parts_of
from worker.store.decide.article_writes import ArticleWrites
from worker.store.decide.batch_item import BatchItem
from worker.store.decide.change_set import RETRACT, ChangeSet
from worker.store.decide.documents import DocumentChanges, decide_documents, document_keys
from worker.store.decide.outcome_rows import write_dead_letters, write_highest, write_raw, write_receipts
from worker.store.decide.shared_rows import shared_names, write_shared_rows, write_subjects
from worker.store.decide.source_documents import Article, article_keys, decide_sources, url_keys
from worker.store.decide.stored import Loader, StoredArticles, StoredDocuments, UrlKeys
from worker.store.decide.url_resolution import Urls

STEP_DOCUMENTS = 50
"""Documents of one URL that a transaction retracts at most. The rest is background work."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision needs besides rows.

    `timings`: the stages of the batch, for its receipts. `ready`: called with the writes that are decided so far, so that
    the database can work on them meanwhile. `now`: the time of the receipts by Redis's clock, like the arrival in their
    ids. What `decide` writes else has the store's (`StoredDocuments.now`): readers of changed articles continue where they
    were, so no later batch may write an earlier time.
    """

    rules: AllRules
    worker: str
    now: datetime
    timings: dict[str, float] = field(default_factory=dict)
    step: int = STEP_DOCUMENTS
    ready: Callable[[ChangeSet], None] = lambda changes: None


class ChangedDocument(Exception):
    """Raised when recognised items must be read: their stored documents changed meanwhile.

    Roll back, read the items, decide again. `ids`: of the items.
    """

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__("the stored documents of recognised items changed")
        self.ids = ids


def decide(items: Sequence[BatchItem], loader: Loader, context: Context) -> ChangeSet:
    """Decide a batch: set the outcome of each item, and return the writes that `Context.ready` has not taken.

    Call it under the writer lock. No item of `changed_together` may be recognised. Raises ChangedDocument, before `ready`
    is called.
    """
    changes = ChangeSet()
    stored = loader.documents(document_keys(items, context.step))
    fresh = [item for item in items if not _repeat_outcome(item, stored)]
    _confirm_recognised(fresh, stored)
    write_raw(items, stored, changes)
    accepted = [item for item in fresh if not item.rejected]
    _renew_parts(accepted, stored.references)
    documents = decide_documents(accepted, stored, context.step)
    changes.add_work(RETRACT, (documents.documents[doc_hash].row.id for doc_hash in documents.unfinished))
    contents = [content for item in accepted if (content := item.content) is not None]
    live = decide_rows(documents, stored, loader, context, changes, contents)
    for item in fresh:
        if item.rejected:
            item.outcome = Outcome.REJECTED
        elif article := live.get(documents.documents[item.doc_hash].row.article_hash or b""):
            _complete(item, article, context.rules)
    write_dead_letters(changes, fresh, stored.replays, context.worker, stored.now)
    write_receipts(changes, fresh, context.worker, context.now, context.timings)
    write_highest(items, changes, context.now)
    return changes


def decide_rows(
    documents: DocumentChanges,
    stored: StoredDocuments,
    loader: Loader,
    context: Context,
    changes: ChangeSet,
    contents: Sequence[EnrichedDocument | ReferenceCopy] = (),
    rewritten: Collection[bytes] = (),
) -> dict[bytes, Article]:
    """Write `documents`, the articles that they touch, all that depends on these, and the work that this causes.

    `contents`: documents that were read: the providers and topics that they name get rows. `rewritten`: articles that
    are written anew whatever their documents are. Returns the touched articles with a live document, by url_hash.
    """
    documents.write(changes, stored.now)
    touched = documents.touched or rewritten
    articles = loader.articles(article_keys(documents, rewritten)) if touched else StoredArticles()
    _name_changed_fields(documents, articles)
    chosen = decide_sources(documents, articles, stored.references, stored.next_ids["articles"], rewritten)
    shown = [parts.copy for _, parts in chosen.published()]
    domains, names = shared_names([*contents, *shown, *(one.content for one in chosen.subjects)])
    keys = url_keys(chosen, documents, domains, names.keys())
    loaded = loader.urls(keys)
    context.ready(changes)
    chosen.children.add("images", loaded.stub_images)
    urls = Urls(chosen, documents, keys, loaded)
    further = urls.stub_domains() - domains - loaded.providers.keys()
    if further:  # of stubs that show entries of stored articles now
        loaded.providers |= loader.urls(UrlKeys(domains=further)).providers
    names = {slug: slug for slug in keys.slugs} | names
    write_shared_rows(loaded, stored.next_ids, domains | further, names, changes)
    write_subjects(chosen.subjects, loaded, changes)
    ArticleWrites(chosen, urls, loaded, context.rules, stored.now, changes).write()
    context.ready(changes)
    changes.write_work(stored.now)
    return chosen.live


def _repeat_outcome(item: BatchItem, stored: StoredDocuments) -> bool:
    """If an item has a receipt, give it the outcome of that. Returns whether it has one.

    The receipt of an entry that was added again has the original id. So an entry that a worker held while its lane was
    repaired has one receipt, whether its old or its new id is stored first.
    """
    for id_ in item.receipt_ids:
        item.receipt_id, item.id_conflict = id_, False
        row = stored.receipts.get((item.lane, id_))
        if row is None:
            return False
        if (row.op, row.source, row.key, row.raw_sha256) == (item.op, item.source, item.key, item.sha256):
            item.outcome, item.url, item.article_id = Outcome(row.outcome), row.url, row.article_id
            return True
        item.id_conflict = True
    return True


def _confirm_recognised(fresh: Sequence[BatchItem], stored: StoredDocuments) -> None:
    """Raise ChangedDocument if a recognised item's document changed meanwhile."""
    changed = set[str]()
    for item in fresh:
        row = stored.documents.get(item.doc_hash) if item.recognised is not None else None
        if item.recognised is not None and (row is None or (row.article_hash, row.content_hash) != item.recognised):
            changed.add(item.id)
    if changed:
        raise ChangedDocument(changed)


def _renew_parts(items: Sequence[BatchItem], references: References) -> None:
    """Make the rows of articles again that were made from older references."""
    for item in items:
        if item.copy is not None and (item.parts is None or item.parts.token != references.token):
            item.parts = parts_of(item.copy, references)


def _name_changed_fields(documents: DocumentChanges, stored: StoredArticles) -> None:
    """Set the names of the fields that each update changed."""
    for item, document, before, after in documents.updated:
        old: EnrichedDocument | ReferenceCopy | None = before.copy if isinstance(before, ArticleParts) else before
        if old is None and document.stored is not None:
            form, is_reference = stored.forms[document.row.id], document.stored.taxonomy is not None
            old = reference_from_form(form) if is_reference else document_from_json(form, None)
        if isinstance(old, EnrichedDocument) and isinstance(after, ArticleParts):
            item.changed = changed_fields(replace(old, secured=None), replace(after.copy, secured=None))
        elif isinstance(old, ReferenceCopy) and isinstance(after, ReferenceCopy):
            item.changed = changed_reference_fields(old, after)
        else:
            item.changed = ["taxonomy"]


def _complete(item: BatchItem, article: Article, rules: AllRules) -> None:
    """Set the article of an item, its URL, and the warning about the heat that its document reports."""
    item.article_id = article.id
    if item.recognised is not None:
        item.url = article.canonical_url
    is_new = item.outcome in (Outcome.STORED, Outcome.UPDATED)
    if article.heat is not None and item.copy is not None and is_new and rules.warns(item.source):
        warning = differing_heat(article.heat, item.copy.reported_heat, item.copy.reported_published)
        item.problems += (warning,) if warning is not None else ()
