"""Decide what reference documents add to providers and topics. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from worker.enrichment.reference_documents import ORGANIZATION, TOPIC, ReferenceCopy, reference_from_form
from worker.enrichment.topics import topic_slug
from worker.store.decide.change_set import ARTICLES, NAMES, ChangeSet, Operation
from worker.store.decide.documents import Document, DocumentChanges, newest_document
from worker.store.decide.stored import Row, StoredArticles, StoredUrls

_FIELDS = {
    ORGANIZATION: ("description", "images", "extra"),
    TOPIC: ("description", "keywords", "hashtags", "images", "extra"),
}


class Subject(NamedTuple):
    """A provider or topic whose reference documents changed. `document`: the newest live one, `copy`: its content.

    `name`: the domain of a provider, the slug of a topic.
    """

    taxonomy: str
    name: str
    document: Document | None
    copy: ReferenceCopy | None

    @property
    def content(self) -> ReferenceCopy:
        """Return `copy`, or one that says nothing but the name."""
        return self.copy or ReferenceCopy(self.taxonomy, self.name, self.name)


def decide_subjects(changes: DocumentChanges, stored: StoredArticles) -> list[Subject]:
    """Choose the reference document of each touched subject."""
    live = changes.by_article()
    subjects = []
    for identity in sorted(changes.touched & changes.subjects.keys()):
        document = newest_document(live.get(identity, ()), stored.sources.get(identity))
        copy = _content(document) if document is not None else None
        subjects.append(Subject(*changes.subjects[identity], document, copy))
    return subjects


def write_subjects(
    subjects: Sequence[Subject], keywords: Mapping[str, list[str]], stored: StoredUrls, writes: ChangeSet, token: str
) -> None:
    """Write the providers and topics of `subjects`, and add the work that this causes.

    `keywords`: those stored, by slug. `token`: the new one of the references, which tells processes to read them again.
    """
    providers, topics, bare_topics = list[Row](), list[Row](), list[Row]()
    for one in subjects:
        row = _row(one, stored)
        if one.taxonomy == ORGANIZATION:
            providers.append(row)
            writes.add_work(NAMES, [stored.providers[one.name].id])
            writes.add_work(ARTICLES, [stored.providers[one.name].id])
        else:
            (topics if one.copy is not None else bare_topics).append(row)
            if keywords.get(one.name, []) != row["keywords"]:
                writes.add_work(ARTICLES, [0])
    writes.add_rows("providers", Operation.UPDATE, providers, ("id",))
    writes.add_rows("topics", Operation.UPDATE, topics, ("id",))
    writes.add_rows("topics", Operation.UPDATE, bare_topics, ("id",))
    if subjects:
        writes.add("reference_state", Operation.MERGE, ("name", "token"), ("name",), [("references", token)])


def _content(document: Document) -> ReferenceCopy | None:
    if isinstance(document.content, ReferenceCopy):
        return document.content
    return reference_from_form(document.row.form) if document.row.form else None


def _row(one: Subject, stored: StoredUrls) -> Row:
    """Return the columns of a provider or a topic; without a reference document they are empty, but for a topic's name."""
    row: Row = {name: getattr(one.content, name) for name in _FIELDS[one.taxonomy]}
    row["document_id"] = one.document.row.id if one.document is not None else None
    if one.taxonomy == ORGANIZATION:
        return row | {"id": stored.providers[one.name].id}
    parent = stored.topics[topic_slug(one.content.parent)].id if one.content.parent else None
    row |= {"id": stored.topics[one.name].id, "parent_id": parent}
    return row | {"name": one.copy.name} if one.copy is not None else row
