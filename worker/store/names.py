"""Providers and topics: rows that many articles share, made on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import update
from sqlalchemy.engine import Connection

from worker.enrich.copy import ProviderRef
from worker.store.bulk import fetch, merge
from worker.store.tables import providers, topics


def provider_ids(connection: Connection, refs: Iterable[ProviderRef | None]) -> dict[str, int]:
    """Domain → id of each provider, made where it is new; a name it was not known under is added to its other names."""
    named: dict[str, dict[str, None]] = {}
    for ref in refs:
        if ref is not None:
            known_names = named.setdefault(ref.domain, {})
            if ref.name:
                known_names[ref.name] = None
    columns = (providers.c.domain, providers.c.id, providers.c.name, providers.c.other_names)
    known = {row.domain: row for row in fetch(connection, columns, providers.c.domain, named)}
    rows: list[dict[str, Any]] = []
    for domain in sorted(named):
        names = list(named[domain])
        if domain not in known:
            rows.append({"domain": domain, "name": names[0] if names else None, "other_names": names[1:]})
        else:
            _learn(connection, known[domain], names)
    merge(connection, providers, rows, ["domain"])
    if rows:
        made = [row["domain"] for row in rows]
        known.update({row.domain: row for row in fetch(connection, columns, providers.c.domain, made)})
    return {domain: row.id for domain, row in known.items()}


def _learn(connection: Connection, provider: Any, names: list[str]) -> None:
    name = provider.name or (names[0] if names else None)
    other = list(provider.other_names)
    new = [candidate for candidate in names if candidate != name and candidate not in other]
    # A hostile crawler could send a new name with every document: a provider keeps the first hundred.
    if name != provider.name or (new and len(other) < 100):
        values = {"name": name, "other_names": [*other, *new][:100]}
        connection.execute(update(providers).where(providers.c.id == provider.id).values(values))


def topic_ids(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """Case-folded name → id of each topic, made where it is new."""
    wanted: dict[str, str] = {}
    for name in names:
        wanted.setdefault(name.casefold(), name)
    columns = (topics.c.slug, topics.c.id)
    known = {row.slug: row.id for row in fetch(connection, columns, topics.c.slug, wanted)}
    missing = sorted(set(wanted) - set(known))
    merge(connection, topics, [{"slug": slug, "name": wanted[slug]} for slug in missing], ["slug"])
    if missing:
        known.update({row.slug: row.id for row in fetch(connection, columns, topics.c.slug, missing)})
    return known
