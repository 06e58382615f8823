"""Count again which names articles use for their providers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from worker.enrichment.providers import choose_name, other_names
from worker.enrichment.reference_documents import reference_from_form
from worker.store.background.work_rows import IdWork, Progress
from worker.store.engine import WRITER_LOCK
from worker.store.sql.flights import Flights, Query
from worker.store.sql.statements import updating
from worker.store.tables import providers

_MOST_COUNTED = 2_000  # the most frequent names of a provider; the others are ignored


class _Provider(NamedTuple):
    id: int
    domain: str
    name: str | None
    other_names: list[str]
    form: str | None


class _Mention(NamedTuple):
    provider_id: int
    name: str
    mentions: int


_PROVIDERS = Query(
    _Provider,
    "SELECT p.id, p.domain, p.name, p.other_names, d.form FROM providers p"
    " LEFT JOIN documents d ON d.id = p.document_id WHERE p.id {in ids}",
    {"ids": (providers.c.id,)},
    providers,
)
_MENTIONS = Query(
    _Mention,
    "SELECT provider_id, provider_name, count(*) AS mentions FROM articles"
    " WHERE provider_id {in ids} AND provider_name IS NOT NULL GROUP BY provider_id, provider_name",
    {"ids": (providers.c.id,)},
)


def name_step(transaction: Flights, dialect: str, work: Sequence[IdWork], progress: Progress) -> int:
    """Set the name and the other names of providers, from the reference document or else from their articles.

    Call it with the step lock. On PostgreSQL it counts without the writer lock: a batch that changes what it counted
    adds the work again. Returns 0, because it processes no articles. Raises SQLAlchemy's errors.
    """
    ids = [row.subject for row in work]
    rows = transaction.fetch(_PROVIDERS, {"ids": ids})
    counted = transaction.fetch(_MENTIONS, {"ids": ids})
    transaction.send()
    mentions: dict[int, dict[str, int]] = defaultdict(dict)
    for one in sorted(counted.rows, key=lambda one: (-one.mentions, one.name)):
        if len(mentions[one.provider_id]) < _MOST_COUNTED:
            mentions[one.provider_id][one.name] = one.mentions
    changes = []
    for row in rows.rows:
        reference = reference_from_form(row.form) if row.form else None
        name = reference.name if reference else choose_name(row.domain, mentions[row.id])
        others = other_names(name, mentions[row.id], reference.other_names if reference else [])
        if (row.name, row.other_names) != (name, others):
            changes.append((row.id, name, others))
    transaction.lock(WRITER_LOCK)
    if changes:
        transaction.execute(updating(dialect, providers, ("id", "name", "other_names"), ("id",), changes))
    progress.finish(work)
    return 0
