"""Providers and topics: rows that many articles share, created on first use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.engine import Connection

from worker.enrichment.enriched_document import ProviderRef
from worker.enrichment.providers import choose_name, other_names
from worker.enrichment.reference_documents import reference_from_form
from worker.enrichment.topics import better_spelling, topic_slug
from worker.store.apply.work import add_work
from worker.store.sql.statements import fetch, merge_ids
from worker.store.tables import articles, documents, providers, topics

_MOST_COUNTED = 2_000  # the most frequent names of a provider; the others are ignored


@dataclass(frozen=True, slots=True)
class ProviderMention:
    """The provider that an article mentions, and the name that it uses for it."""

    provider_id: int | None
    name: str | None


NO_MENTION = ProviderMention(None, None)


def provider_ids(connection: Connection, refs: Iterable[ProviderRef | None]) -> dict[str, int]:
    """Return domain → id of each provider; creates missing ones.

    A new provider gets a name if `refs` use exactly one name for it. Otherwise its names are counted later.
    """
    named: dict[str, dict[str, None]] = {}
    for ref in refs:
        if ref is not None:
            names = named.setdefault(ref.domain, {})
            if ref.name:
                names[ref.name] = None
    columns = (providers.c.domain, providers.c.id)
    known = {row.domain: row.id for row in fetch(connection, columns, providers.c.domain, named)}
    rows: list[dict[str, Any]] = [
        {"domain": domain, "name": next(iter(named[domain])) if len(named[domain]) == 1 else None, "other_names": []}
        for domain in sorted(named.keys() - known.keys())
    ]
    return known | merge_ids(connection, providers, rows, "domain", ["domain"])


def note_mentions(
    connection: Connection, changes: Iterable[tuple[ProviderMention, ProviderMention]], now: datetime
) -> None:
    """Add the work of counting names for each provider that some article now mentions by another name than before.

    Most articles repeat the provider's current name; these are skipped.
    """
    differing = [(before, after) for before, after in changes if before != after]
    mention = {after.provider_id for _, after in differing if after.name and after.provider_id is not None}
    names = {row.id: row.name for row in fetch(connection, (providers.c.id, providers.c.name), providers.c.id, mention)}
    stale = {before.provider_id for before, _ in differing if before.name}
    stale |= {
        after.provider_id
        for _, after in differing
        if after.name and after.provider_id in mention and names[after.provider_id] != after.name
    }
    add_work(connection, "names", stale, now)


def count_names(connection: Connection, provider_id: int) -> None:
    """Set a provider's name and other names, from its reference document or else from the names its articles use."""
    provider = connection.execute(select(providers).where(providers.c.id == provider_id)).first()
    if provider is None:
        return
    query = (
        select(articles.c.provider_name, func.count())
        .where(articles.c.provider_id == provider_id, articles.c.provider_name.is_not(None))
        .group_by(articles.c.provider_name)
        .order_by(func.count().desc(), articles.c.provider_name)
        .limit(_MOST_COUNTED)
    )
    mention = {str(name): int(count) for name, count in connection.execute(query)}
    form = connection.scalar(select(documents.c.form).where(documents.c.id == provider.document_id))
    reference = reference_from_form(form) if form else None
    name = reference.name if reference else choose_name(provider.domain, mention)
    values = {"name": name, "other_names": other_names(name, mention, reference.other_names if reference else [])}
    if (provider.name, provider.other_names) != (values["name"], values["other_names"]):
        connection.execute(update(providers).where(providers.c.id == provider_id).values(values))


def topic_ids(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """Return slug → id of each topic; creates missing ones, and improves the display name of the others."""
    wanted: dict[str, str] = {}
    for name in names:
        slug = topic_slug(name)
        wanted[slug] = better_spelling(name, wanted.get(slug, name))
    columns = (topics.c.slug, topics.c.id, topics.c.name, topics.c.document_id)
    known = {}
    for row in fetch(connection, columns, topics.c.slug, wanted):
        known[row.slug] = row.id
        name = better_spelling(row.name, wanted[row.slug])
        if name != row.name and row.document_id is None:
            connection.execute(update(topics).where(topics.c.id == row.id).values(name=name))
    rows: list[dict[str, Any]] = [{"slug": slug, "name": wanted[slug]} for slug in sorted(wanted.keys() - known.keys())]
    return known | merge_ids(connection, topics, rows, "slug", ["slug"])
