"""Decide what reference documents add to providers and topics. Pure: no I/O."""

from __future__ import annotations

from worker.enrichment.reference_documents import ORGANIZATION, ReferenceCopy, reference_from_form
from worker.store.decide.change_set import ARTICLES, NAMES, ChangeSet, Operation, Work
from worker.store.decide.documents import DocumentChanges, KnownDocument
from worker.store.decide.rows.article_rows import NotPrepared, Shared
from worker.store.decide.stored import Row, SourceRow, StoredArticles


def decide_references(
    changes: DocumentChanges, stored: StoredArticles, shared: Shared, writes: ChangeSet, work: Work, token: str
) -> None:
    """Write the provider or topic of each touched subject from its newest live document, if any. Raises NotPrepared.

    Adds the work that the change causes. `token`: the new one of the reference documents, which tells processes to
    read them again.
    """
    touched = sorted(changes.touched & changes.subjects.keys())
    if not touched:
        return
    live = changes.by_article()
    providers, topics, bare_topics = list[Row](), list[Row](), list[Row]()
    for identity in touched:
        taxonomy, subject = changes.subjects[identity]
        document_id, copy = _newest(live.get(identity, []), stored.sources.get(identity))
        if taxonomy == ORGANIZATION:
            row = _provider_row(subject, document_id, copy, shared)
            providers.append(row)
            work.add(NAMES, [row["id"]])  # type: ignore[list-item]  # an id
            work.add(ARTICLES, [row["id"]])  # type: ignore[list-item]
        else:
            row = _topic_row(subject, document_id, copy, shared)
            known = stored.keywords.get(subject)
            if (known.keywords if known else []) != row["keywords"]:
                work.add(ARTICLES, [0])
            (topics if copy is not None else bare_topics).append(row)
    writes.update("providers", providers, ("id",))
    writes.update("topics", topics, ("id",))
    writes.update("topics", bare_topics, ("id",))
    writes.add("reference_state", Operation.MERGE, ("name", "token"), ("name",), [("references", token)])


def _newest(known: list[KnownDocument], other: SourceRow | None) -> tuple[int | None, ReferenceCopy | None]:
    newest = max(known, key=lambda one: one.state.revision, default=None)
    if newest is not None and (other is None or newest.state.revision > other.revision):
        if isinstance(newest.content, ReferenceCopy):
            return newest.id, newest.content
        return newest.id, newest.row.reference if newest.row is not None else None
    return (other.id, reference_from_form(other.form)) if other is not None else (None, None)


def _provider_row(domain: str, document_id: int | None, copy: ReferenceCopy | None, shared: Shared) -> Row:
    try:
        id_ = shared.provider_id(domain)
    except KeyError:
        raise NotPrepared(copy or ReferenceCopy(ORGANIZATION, domain, domain)) from None
    return {
        "id": id_,
        "description": copy.description if copy else None,
        "images": copy.images if copy else [],
        "extra": copy.extra if copy else {},
        "document_id": document_id,
    }


def _topic_row(slug: str, document_id: int | None, copy: ReferenceCopy | None, shared: Shared) -> Row:
    try:
        id_ = shared.topic_id(slug)
        parent = shared.topic_id(copy.parent) if copy and copy.parent else None
    except KeyError:
        raise NotPrepared(copy or ReferenceCopy("topic", slug, slug)) from None
    row: Row = {
        "id": id_,
        "parent_id": parent,
        "description": copy.description if copy else None,
        "keywords": copy.keywords if copy else [],
        "hashtags": copy.hashtags if copy else [],
        "images": copy.images if copy else [],
        "extra": copy.extra if copy else {},
        "document_id": document_id,
    }
    return {**row, "name": copy.name} if copy else row
