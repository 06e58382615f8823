"""Read the content of all reference documents. Each process keeps it until a reference document changes."""

from __future__ import annotations

from sqlalchemy import Engine

from worker.enrichment.reference_documents import References, reference_from_form
from worker.enrichment.topics import TopicFinder
from worker.store.batches.load_queries import TOKEN
from worker.store.sql.flights import Flights
from worker.store.sql.query import One, Pair, Query
from worker.store.tables import topics

_ORGANIZATIONS: Query[One[str]] = Query(One, "SELECT d.form FROM documents d JOIN providers p ON p.document_id = d.id")
_KEYWORDS: Query[Pair[str, list[str]]] = Query(
    Pair,
    "SELECT slug, keywords FROM topics WHERE document_id IS NOT NULL",
    table=topics,
    names=("slug", "keywords"),
)

_cached: dict[str, References] = {}
"""The references of each store that this process uses."""


def cached_references(engine: Engine) -> References:
    """Return what this process read last. It may be outdated."""
    return _cached.get(str(engine.url), References())


def current_references(engine: Engine, transaction: Flights, token: str | None) -> References:
    """Return the references with this token: those that this process read last, or those that are stored now."""
    if cached_references(engine).token != token:
        _cached[str(engine.url)] = _load(transaction)
    return cached_references(engine)


def _load(transaction: Flights) -> References:
    tokens = transaction.fetch(TOKEN, {})
    forms = transaction.fetch(_ORGANIZATIONS, {})
    words = transaction.fetch(_KEYWORDS, {})
    transaction.send()
    organizations = [reference_from_form(row.value) for row in forms.rows]
    return References(
        tokens.rows[0].value if tokens.rows else None,
        {one.subject: (one.name, *one.other_names) for one in organizations},
        TopicFinder(dict(words.rows)),
    )
