"""Count again which names articles use for their providers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from worker.enrichment.providers import choose_name, other_names
from worker.enrichment.reference_documents import reference_from_form
from worker.store.background.work_rows import IdWork, Progress
from worker.store.engine import WRITER_LOCK
from worker.store.sql.flights import Flights
from worker.store.sql.query import Pair, Query
from worker.store.sql.statements import updating
from worker.store.tables import providers

MOST_ARTICLES = 100_000
"""Articles of a provider whose names are counted at most. It takes about 0.1 s, without the writer lock."""
_MOST_NAMES = 2_000  # the most frequent names of a provider; the others are ignored


class _Provider(NamedTuple):
    id: int
    domain: str
    name: str | None
    other_names: list[str]
    form: str | None


_PROVIDERS = Query(
    _Provider,
    "SELECT p.id, p.domain, p.name, p.other_names, d.form FROM providers p"
    " LEFT JOIN documents d ON d.id = p.document_id WHERE p.id {in ids}",
    {"ids": (providers.c.id,)},
    providers,
)
_MENTIONS: Query[Pair[str, int]] = Query(
    Pair,
    "SELECT provider_name, count(*) FROM (SELECT provider_name FROM articles WHERE provider_id = {value subject}"
    " LIMIT {limit most}) a WHERE provider_name IS NOT NULL GROUP BY provider_name",
)


def name_step(transaction: Flights, dialect: str, work: Sequence[IdWork], progress: Progress) -> int:
    """Set the name and the other names of providers, from the reference document or else from their articles.

    Call it with the step lock. On PostgreSQL it counts without the writer lock: a batch that changes what it counted
    adds the work again. Returns 0, because it processes no articles. Raises SQLAlchemy's errors.
    """
    ids = [row.subject for row in work]
    rows = transaction.fetch(_PROVIDERS, {"ids": ids})
    counted = {id_: transaction.fetch(_MENTIONS, {"subject": id_, "most": MOST_ARTICLES}) for id_ in ids}
    transaction.send()
    changes = []
    for row in rows.rows:
        mentions = dict(sorted(counted[row.id].rows, key=lambda one: (-one.value, one.key))[:_MOST_NAMES])
        reference = reference_from_form(row.form) if row.form else None
        name = reference.name if reference else choose_name(row.domain, mentions)
        others = other_names(name, mentions, reference.other_names if reference else [])
        if (row.name, row.other_names) != (name, others):
            changes.append((row.id, name, others))
    transaction.lock(WRITER_LOCK)
    if changes:
        transaction.execute(updating(dialect, providers, ("id", "name", "other_names"), ("id",), changes))
    progress.finish(work)
    return 0
