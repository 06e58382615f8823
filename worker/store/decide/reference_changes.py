"""Decide what reference documents add to providers and topics. Pure: no I/O."""

from __future__ import annotations

from worker.enrichment.reference_documents import ORGANIZATION, TOPIC, ReferenceCopy, reference_from_form
from worker.store.decide.change_set import ARTICLES, NAMES, ChangeSet, Operation
from worker.store.decide.documents import Document, DocumentChanges, newest_document
from worker.store.decide.rows.article_rows import Shared
from worker.store.decide.stored import Row, StoredArticles
from worker.store.decide.unprepared import Unprepared

_FIELDS = {
    ORGANIZATION: ("description", "images", "extra"),
    TOPIC: ("description", "keywords", "hashtags", "images", "extra"),
}


def decide_references(
    changes: DocumentChanges, stored: StoredArticles, shared: Shared, writes: ChangeSet, token: str
) -> None:
    """Write the provider or topic of each touched subject from its newest live document, if any. Raises Unprepared.

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
        document = newest_document(live.get(identity, ()), stored.sources.get(identity))
        copy = _content(document) if document is not None else None
        row = _row(taxonomy, subject, copy, shared)
        id_ = row["id"] if isinstance(row["id"], int) else 0
        row["document_id"] = document.row.id if document is not None else None
        if taxonomy == ORGANIZATION:
            providers.append(row)
            writes.add_work(NAMES, [id_])
            writes.add_work(ARTICLES, [id_])
        else:
            (topics if copy is not None else bare_topics).append(row)
            if stored.keywords.get(subject, []) != row["keywords"]:
                writes.add_work(ARTICLES, [0])
    writes.add_rows("providers", Operation.UPDATE, providers, ("id",))
    writes.add_rows("topics", Operation.UPDATE, topics, ("id",))
    writes.add_rows("topics", Operation.UPDATE, bare_topics, ("id",))
    writes.add("reference_state", Operation.MERGE, ("name", "token"), ("name",), [("references", token)])


def _content(document: Document) -> ReferenceCopy | None:
    if isinstance(document.content, ReferenceCopy):
        return document.content
    return reference_from_form(document.row.form) if document.row.form else None


def _row(taxonomy: str, subject: str, copy: ReferenceCopy | None, shared: Shared) -> Row:
    """Return the columns of a provider or a topic; without a reference document they are empty, but for a topic's name."""
    content = copy or ReferenceCopy(taxonomy, subject, subject)
    row: Row = {name: getattr(content, name) for name in _FIELDS[taxonomy]}
    try:
        if taxonomy == ORGANIZATION:
            return row | {"id": shared.provider_id(subject)}
        row |= {
            "id": shared.topic_id(subject),
            "parent_id": shared.topic_id(content.parent) if content.parent else None,
        }
    except KeyError:
        raise Unprepared(contents=[content]) from None
    return row | {"name": copy.name} if copy is not None else row
