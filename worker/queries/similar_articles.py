"""Rank articles by their similarity to a given one, also below the threshold of stored links.

A link is stored only where two articles most likely belong to one story. A list of further reading, or a measurement
of the ranking, also needs less similar articles. Their scores are computed on request from the store.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import TypedDict

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from worker.linking.days.arrival_days import stored_basis
from worker.linking.pairs.similar_links import STORY_KINDS
from worker.linking.texts.features import features_of_all
from worker.linking.texts.frequencies import Frequencies
from worker.linking.window import Window
from worker.queries.articles import article_at
from worker.queries.rows import AnyRow
from worker.store.linking import compared_articles
from worker.store.sql.statements import fetch
from worker.store.tables import articles

FLOOR = 0.02
"""The lowest score that is returned, from 0 to 1."""
_CHUNK = 500


class NamedArticle(TypedDict):
    id: int
    url: str | None
    title: str | None


class Neighbour(NamedArticle):
    """A similar article. `score`: from 0 to 1, computed like that of links."""

    score: float


class RankedArticle(NamedArticle):
    """An article with similar ones, the best first."""

    similar: list[Neighbour]


def similar(
    connection: Connection, urls: Sequence[str] | None, *, limit: int = 10, floor: float = FLOOR
) -> Iterator[RankedArticle]:
    """Yield each article of `urls` (None: all) with at most `limit` similar articles.

    URLs without an article, and articles of kinds that belong to no stories, are left out.
    """
    ids = None
    if urls is not None:
        ids = {row.id for url in urls if (row := article_at(connection, url)) is not None}
    window = Window(sys.maxsize)
    window.set_frequencies(_frequencies(connection))
    window.cover(connection, 0.0, 0.0, lambda: None)
    where = compared_articles.with_content(STORY_KINDS)
    for page in (
        compared_articles.pages(connection, where)
        if ids is None
        else [list(compared_articles.compared(connection, ids).values())]
    ):
        for start in range(0, len(page), _CHUNK):
            yield from _ranked(connection, window, page[start : start + _CHUNK], limit, floor)


def _ranked(
    connection: Connection, window: Window, rows: Sequence[AnyRow], limit: int, floor: float
) -> Iterator[RankedArticle]:
    published, features = window.put(rows)
    times = [compared_articles.time_of(row) for row in published]
    scores = window.index.neighbours([row.id for row in published], times, features, floor=floor, limit=limit)
    ids = {row.id for row in published} | {other.id for near in scores for other in near}
    named = {
        row.id: NamedArticle(id=row.id, url=row.canonical_url, title=row.title)
        for row in fetch(connection, (articles.c.id, articles.c.canonical_url, articles.c.title), articles.c.id, ids)
    }
    for row, near in zip(published, scores, strict=True):
        neighbours = [Neighbour(**named[other.id], score=other.score) for other in near if other.id in named]
        yield RankedArticle(**named[row.id], similar=neighbours)


def _frequencies(connection: Connection) -> Frequencies:
    """Return the document frequencies that the linker uses for the newest day of arrival."""
    newest = connection.scalar(select(func.max(articles.c.first_seen_at))) or datetime.now(UTC)
    if isinstance(newest, str):
        newest = datetime.fromisoformat(newest)
    basis, missing = stored_basis(connection, newest.date())
    for day in missing:
        basis.completed.merge(_counted(connection, day))
    today = _counted(connection, basis.day)
    return basis.with_today(today) if basis.is_bootstrap(today.documents) else basis.completed


def _counted(connection: Connection, day: date) -> Frequencies:
    counted = Frequencies()
    for page in compared_articles.pages(connection, compared_articles.arrivals(day, STORY_KINDS)):
        counted.add(features_of_all([(row.title, row.excerpt) for row in page]))
    return counted


__all__ = ["FLOOR", "similar"]
