"""Compute the heat of articles again whose related articles changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from worker.enrichment.heat import Peer, article_heat
from worker.heat_rules import AllRules
from worker.store.background.work_rows import IdWork, Progress
from worker.store.engine import WRITER_LOCK
from worker.store.sql.flights import Flights, Result
from worker.store.sql.query import One, Pair, Query
from worker.store.sql.statements import updating
from worker.store.tables import articles

STEP_ARTICLES = 500
"""Articles that one step computes."""


class _Article(NamedTuple):
    id: int
    quality: int | None
    published_at: datetime | None
    title: str | None
    related_count: int | None
    outranked_by: int | None
    heat: int | None
    is_published: bool | None
    lead_id: int | None
    changed_at: datetime
    source: str
    url_hash: bytes


class _Related(NamedTuple):
    source_id: int
    rank: int
    id: int
    quality: int | None
    published_at: datetime | None
    title: str | None
    url_hash: bytes


_URLS: Query[Pair[int, bytes]] = Query(
    Pair,
    # The URLs that mean a subject, of those by which it is known and that it claims. The first link to a URL points to
    # what the URL means, or a pass of `target_step.py` will point it there and then add work for its new target.
    "WITH w(id) AS ({table subjects}), k(id, url_hash) AS (SELECT a.id, a.url_hash FROM w JOIN articles a ON a.id = w.id"
    " UNION SELECT u.article_id, u.url_hash FROM w JOIN article_urls u ON u.article_id = w.id)"
    " SELECT k.id, k.url_hash FROM k WHERE k.id = (SELECT l.target_id FROM links l WHERE l.target_hash = k.url_hash"
    " AND l.kind IN ('related', 'contains') ORDER BY l.source_id LIMIT 1)",
    {"subjects": (articles.c.id,)},
)
_LISTERS: Query[One[int]] = Query(
    One,
    "SELECT source_id FROM links WHERE target_hash = ({table url}) AND kind = 'related' AND source_id > {value cursor}"
    " ORDER BY source_id LIMIT {limit most}",
    {"url": (articles.c.url_hash,)},
)
_ARTICLES = Query(
    _Article,
    "SELECT a.id, a.quality, a.published_at, a.title, a.related_count, a.outranked_by, a.heat, a.is_published,"
    " a.lead_id, a.changed_at, d.source, a.url_hash FROM articles a JOIN documents d ON d.id = a.document_id"
    " WHERE a.id {in ids} AND NOT a.is_stub AND a.quality IS NOT NULL",
    {"ids": (articles.c.id,)},
    articles,
)
_RELATED = Query(
    _Related,
    "SELECT l.source_id, l.rank, p.id, p.quality, p.published_at, p.title, p.url_hash FROM links l"
    " JOIN articles p ON p.id = l.target_id WHERE l.source_id {in ids} AND l.kind = 'related'",
    {"ids": (articles.c.id,)},
    articles,
)


def heat_step(transaction: Flights, dialect: str, work: Sequence[IdWork], rules: AllRules, progress: Progress) -> int:
    """Compute the heat of the articles that list the subjects of `work`; returns how many it computed.

    Call it with the step lock. On PostgreSQL it reads without the writer lock and writes in one flight under it. An
    article that was written meanwhile keeps its heat: the batch that wrote it computed it. A batch that changes an
    article after it was read here adds work. Raises SQLAlchemy's errors.
    """
    ids: set[int] = set()
    for row, listers in zip(work, _fetch_listers(transaction, work), strict=True):
        if len(ids) >= STEP_ARTICLES:
            break
        ids.update(listers)
        if len(listers) < STEP_ARTICLES:
            progress.finish([row])
        else:
            progress.advance(row, listers[-1], row.done + len(listers))
    rows = transaction.fetch(_ARTICLES, {"ids": list(ids)})
    related = transaction.fetch(_RELATED, {"ids": list(ids)})
    transaction.send()
    changes = _changes(rows.rows, related.rows, rules)
    transaction.lock(WRITER_LOCK)
    if changes:
        names = ("id", "changed_at", "heat", "is_published", "lead_id")
        transaction.execute(updating(dialect, articles, names, ("id", "changed_at"), changes))
    return len(rows.rows)


def _fetch_listers(transaction: Flights, work: Sequence[IdWork]) -> list[list[int]]:
    """Return for each subject the next articles that list it, in the order of their ids, at most `STEP_ARTICLES`."""
    urls = transaction.fetch(_URLS, {"subjects": [row.subject for row in work]})
    transaction.send()
    pages: list[list[Result[One[int]]]] = [
        [
            transaction.fetch(_LISTERS, {"url": [url_hash], "cursor": row.cursor, "most": STEP_ARTICLES})
            for subject, url_hash in urls.rows
            if subject == row.subject
        ]
        for row in work
    ]
    transaction.send()
    return [sorted({one.value for page in found for one in page.rows})[:STEP_ARTICLES] for found in pages]


def _changes(rows: Sequence[_Article], related: Sequence[_Related], rules: AllRules) -> list[tuple[object, ...]]:
    """Return (id, changed_at, heat, is_published, lead_id) of the articles whose heat differs from what is stored."""
    peers = {one.id: Peer(one.quality, one.published_at, one.title, one.url_hash) for one in related}
    peers |= {row.id: Peer(row.quality, row.published_at, row.title, row.url_hash) for row in rows}
    listed: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for one in related:
        listed[one.source_id].append((one.rank, one.id))
    changes: list[tuple[object, ...]] = []
    for row in rows:
        heat = article_heat(
            row.id,
            sorted(listed[row.id]),
            peers,
            count=row.related_count,
            outranked_by=row.outranked_by,
            rules=rules.of(row.source),
        )
        if heat is not None and heat != (row.heat, row.is_published, row.lead_id):
            changes.append((row.id, row.changed_at, *heat))
    return changes
