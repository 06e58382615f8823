"""The rows of providers and topics, which many articles share: their ids, rows for new names, and what reference
documents say of them. Pure: no I/O.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence

from worker.enrichment.enriched_document import EnrichedDocument
from worker.enrichment.reference_documents import ORGANIZATION, TOPIC, ReferenceCopy
from worker.enrichment.topics import better_spelling, topic_slug
from worker.store.decide.change_set import ARTICLES, NAMES, ChangeSet, Operation
from worker.store.decide.source_documents import Subject
from worker.store.decide.stored import ProviderRow, Row, StoredUrls, TopicRow

_FIELDS = {
    ORGANIZATION: ("description", "images", "extra"),
    TOPIC: ("description", "keywords", "hashtags", "images", "extra"),
}


def shared_names(contents: Iterable[EnrichedDocument | ReferenceCopy]) -> tuple[set[str], dict[str, str]]:
    """Return the domains of the providers that `contents` name, and the slug → name of their topics."""
    domains: set[str] = set()
    named: list[str] = []
    for content in contents:
        if isinstance(content, EnrichedDocument):
            refs = (content.provider, *(mention.provider for mention in content.related))
            domains.update(ref.domain for ref in refs if ref is not None)
            named += content.topics
        elif content.taxonomy == ORGANIZATION:
            domains.add(content.subject)
        else:
            named += [content.name, *([content.parent] if content.parent else [])]
    names: dict[str, str] = {}
    for name in named:
        slug = topic_slug(name)
        names[slug] = better_spelling(name, names.get(slug, name))
    return domains, names


def write_shared_rows(
    stored: StoredUrls,
    next_ids: Mapping[str, int],
    domains: Collection[str],
    names: Mapping[str, str],
    changes: ChangeSet,
) -> None:
    """Insert the providers and topics that are missing, and add them to `stored`. `names`: slug → name of the topics.

    A topic without a reference document gets a better spelling of its name.
    """
    new_domains, new_slugs = sorted(set(domains) - stored.providers.keys()), sorted(names.keys() - stored.topics.keys())
    providers = [ProviderRow(one, id_, None) for id_, one in enumerate(new_domains, next_ids["providers"])]
    topics = [TopicRow(slug, id_, names[slug]) for id_, slug in enumerate(new_slugs, next_ids["topics"])]
    better = [
        row._replace(name=names[slug])
        for slug, row in sorted(stored.topics.items())
        if slug in names and row.document_id is None and better_spelling(names[slug], row.name) != row.name
    ]
    changes.insert("providers", ("id", "domain", "other_names"), [(one.id, one.domain, []) for one in providers])
    changes.insert("topics", ("id", "slug", "name"), [(one.id, one.slug, one.name) for one in topics])
    changes.update("topics", ("id", "name"), [(one.id, one.name) for one in better])
    stored.providers |= {one.domain: one for one in providers}
    stored.topics |= {one.slug: one for one in (*topics, *better)}


def write_subjects(subjects: Sequence[Subject], stored: StoredUrls, writes: ChangeSet) -> None:
    """Write the providers and topics of `subjects`, and add the work that this causes.

    The references get a new token, which tells processes to read them again.
    """
    providers, topics = list[Row](), list[Row]()
    for taxonomy, name, document_id, content in subjects:
        row: Row = {field: getattr(content, field) for field in _FIELDS[taxonomy]} | {"document_id": document_id}
        if taxonomy == ORGANIZATION:
            id_ = stored.providers[name].id
            providers.append(row | {"id": id_})
            writes.add_work(NAMES, [id_])
            writes.add_work(ARTICLES, [id_])
            continue
        topic = stored.topics[name]
        parent_id = stored.topics[topic_slug(content.parent)].id if content.parent else None
        new_name = content.name if document_id is not None else topic.name
        topics.append(row | {"id": topic.id, "name": new_name, "parent_id": parent_id})
        if (topic.keywords or []) != content.keywords:
            writes.add_work(ARTICLES, [0])
    writes.add_rows("providers", Operation.UPDATE, providers, ("id",))
    writes.add_rows("topics", Operation.UPDATE, topics, ("id",))
    if subjects:
        writes.add(
            "reference_state", Operation.MERGE, ("name", "token"), ("name",), [("references", secrets.token_hex(8))]
        )
