"""Apply reference documents: they add data to providers and topics, and are used to enrich articles.

A process caches their content and reads it again when the token in `reference_state` changes, so a batch costs one
small query. Under the writer lock the cache is exact: an article written after a reference changed uses the new
reference, and articles written before are updated by the work that the change adds (`apply/work.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from worker.enrichment.providers import ProviderRef
from worker.enrichment.reference_documents import ORGANIZATION, ReferenceCopy, reference_from_form
from worker.enrichment.titles import strip_provider_suffix
from worker.enrichment.topics import TopicFinder, topic_slug
from worker.store.apply.shared_names import topic_ids
from worker.store.apply.work import add_work
from worker.store.sql.statements import fetch, merge
from worker.store.tables import documents, providers, reference_state, topics

Subject = tuple[str, str]
"""The taxonomy, and the domain (organization) or slug (topic)."""


@dataclass(slots=True)
class References:
    """The content of all reference documents, as the enrichment of an article needs it. `names`: domain → its names."""

    token: str | None = None
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    finder: TopicFinder = field(default_factory=lambda: TopicFinder({}))

    def title(self, title: str | None, provider: ProviderRef | None) -> str | None:
        """Return a title without its provider's name at the end; tries all names of the reference document."""
        for name in self.names.get(provider.domain, ()) if title and provider else ():
            title = strip_provider_suffix(title or "", name, None)
        return title


_cached: dict[str, References] = {}
_TOKEN = select(reference_state.c.token).where(reference_state.c.name == "references")


def load_references(connection: Connection) -> References:
    """Return the current content of the reference documents; from this process's cache if the token is the same."""
    token = connection.scalar(_TOKEN)
    if token is None:
        return References()
    store = str(connection.engine.url)
    known = _cached.get(store)
    if known is None or known.token != token:
        known = _cached[store] = _read(connection, token)
    return known


def _read(connection: Connection, token: str) -> References:
    forms = select(documents.c.form).where(
        documents.c.id.in_(select(providers.c.document_id).where(providers.c.document_id.is_not(None)))
    )
    organizations = [reference_from_form(form) for form in connection.scalars(forms)]
    words = select(topics.c.slug, topics.c.keywords).where(topics.c.document_id.is_not(None))
    return References(
        token,
        {one.subject: (one.name, *one.other_names) for one in organizations},
        TopicFinder({row.slug: row.keywords for row in connection.execute(words)}),
    )


def refresh_references(connection: Connection, touched: Mapping[bytes, Subject], now: datetime) -> None:
    """Update the provider or topic of each subject from its newest live document, if any.

    `touched`: identity → subject. Adds the work that the change causes, and sets a new token. Call it under the
    writer lock.
    """
    if not touched:
        return
    columns = (documents.c.id, documents.c.article_hash, documents.c.revision, documents.c.form, documents.c.taxonomy)
    newest: dict[bytes, Any] = {}
    for row in fetch(connection, columns, documents.c.article_hash, touched):
        before = newest.get(row.article_hash)
        if row.taxonomy is not None and (before is None or row.revision > before.revision):
            newest[row.article_hash] = row
    found_words = False
    for identity in sorted(touched):
        taxonomy, subject = touched[identity]
        source_document = newest.get(identity)
        copy = reference_from_form(source_document.form) if source_document else None
        if taxonomy == ORGANIZATION:
            _complete_provider(connection, subject, copy, source_document.id if source_document else None, now)
        else:
            found_words |= _complete_topic(connection, subject, copy, source_document.id if source_document else None)
    if found_words:
        add_work(connection, "articles", [0], now)
    merge(connection, reference_state, [{"name": "references", "token": os.urandom(8).hex()}], ["name"], ["token"])


def _complete_provider(
    connection: Connection, domain: str, copy: ReferenceCopy | None, document_id: int | None, now: datetime
) -> None:
    merge(connection, providers, [{"domain": domain, "name": None, "other_names": []}], ["domain"])
    values = {
        "description": copy.description if copy else None,
        "images": copy.images if copy else [],
        "extra": copy.extra if copy else {},
        "document_id": document_id,
    }
    connection.execute(update(providers).where(providers.c.domain == domain).values(values))
    id_ = connection.scalar(select(providers.c.id).where(providers.c.domain == domain))
    add_work(connection, "names", [id_], now)
    add_work(connection, "articles", [id_], now)


def _complete_topic(connection: Connection, slug: str, copy: ReferenceCopy | None, document_id: int | None) -> bool:
    """Write a topic's data; returns whether the keywords by which it is inferred changed."""
    topic_ids(connection, [copy.name if copy else slug])
    before = connection.execute(select(topics).where(topics.c.slug == slug)).one()
    parent = topic_ids(connection, [copy.parent])[topic_slug(copy.parent)] if copy and copy.parent else None
    values: dict[str, Any] = {
        "parent_id": parent,
        "description": copy.description if copy else None,
        "keywords": copy.keywords if copy else [],
        "hashtags": copy.hashtags if copy else [],
        "images": copy.images if copy else [],
        "extra": copy.extra if copy else {},
        "document_id": document_id,
    }
    if copy:
        values["name"] = copy.name
    connection.execute(update(topics).where(topics.c.slug == slug).values(values))
    return bool(before.keywords != values["keywords"])
