"""The content of all reference documents, kept in each process until a reference document changes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Engine

from worker.enrichment.reference_documents import reference_from_form
from worker.enrichment.topics import TopicFinder
from worker.store.batches.load_queries import TOKENS
from worker.store.sql.flights import Flights, flights
from worker.store.sql.query import One, Query
from worker.store.tables import topics


class _Keywords(NamedTuple):
    id: int
    slug: str
    keywords: list[str]


_ORGANIZATIONS: Query[One[str]] = Query(One, "SELECT d.form FROM documents d JOIN providers p ON p.document_id = d.id")
_KEYWORDS = Query(_Keywords, "SELECT id, slug, keywords FROM topics WHERE document_id IS NOT NULL", table=topics)


@dataclass(slots=True)
class References:
    """The content of all reference documents, as the enrichment of an article needs it.

    `names`: domain → its names. `topic_ids`: slug → id of the topics that have keywords.
    """

    token: str | None = None
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    finder: TopicFinder = field(default_factory=lambda: TopicFinder({}))
    topic_ids: dict[str, int] = field(default_factory=dict)


_cached: dict[str, References] = {}
"""The references of each store that this process uses. They are read again when the token in the store is another."""


def current_references(engine: Engine, token: str | None, transaction: Flights | None = None) -> References:
    """Return the content of the reference documents; from this process's cache if the token is the same.

    `transaction`: in which they are read, before it writes any; by default one of their own.
    """
    if token is None:
        return References()
    store = str(engine.url)
    if store not in _cached or _cached[store].token != token:
        with flights(engine) if transaction is None else contextlib.nullcontext(transaction) as reading:
            _cached[store] = load_references(reading)
            if transaction is None:
                reading.commit()
    return _cached[store]


def load_references(transaction: Flights) -> References:
    """Read the content of all reference documents, in one flight."""
    tokens = transaction.fetch(TOKENS, {})
    forms = transaction.fetch(_ORGANIZATIONS, {})
    words = transaction.fetch(_KEYWORDS, {})
    transaction.send()
    organizations = [reference_from_form(row.value) for row in forms.rows]
    return References(
        dict(tokens.rows).get("references"),
        {one.subject: (one.name, *one.other_names) for one in organizations},
        TopicFinder({row.slug: row.keywords for row in words.rows}),
        {row.slug: row.id for row in words.rows},
    )
