"""The index filled from the store: all articles of a small store, or those around the current articles' times."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.linking.index import WINDOW_SECONDS, Index
from worker.linking.pairs.similar_links import STORY_KINDS
from worker.linking.stored_rows import StoredArticle
from worker.linking.texts.features import Features, features_of_all
from worker.linking.texts.frequencies import Frequencies
from worker.linking.weights import Weights
from worker.store.linking import compared_articles
from worker.store.linking.compared_articles import time_of
from worker.store.linking.publication_times import count_after, time_after, time_before
from worker.telemetry.logs import get_logger

log = get_logger("link")

_FAR_PAST = datetime.min.replace(tzinfo=UTC).timestamp()
_FAR_FUTURE = 4_102_444_800.0 + 86_400.0  # a day after the start of 2100, where the schema's times end
_LOG_EVERY = 20_000  # articles
_Article = TypeVar("_Article", bound=StoredArticle)


class Window:
    """An index of at most about `max_articles` articles, and the period whose articles can be linked with it."""

    def __init__(self, max_articles: int, weights: Weights | None = None) -> None:
        self._max_articles = max_articles
        self.index = Index(weights)
        self._first, self._last = math.inf, -math.inf

    def set_frequencies(self, frequencies: Frequencies) -> None:
        """Set the weights of the features from `frequencies`."""
        self.index.set_frequencies(frequencies)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was loaded yet."""
        return self._first == math.inf

    def covers(self, first: float, last: float) -> bool:
        """Whether articles between these times (seconds since 1970) can be linked with what the index holds."""
        return self._first <= first and last <= self._last

    def cover(
        self,
        connection: Connection,
        first: float,
        last: float,
        renew_lease: Callable[[], None],
        *conditions: ColumnElement[bool],
    ) -> None:
        """Load articles that match `conditions` unless `covers` is true already; the old index is dropped then.

        `renew_lease` is called after each page.
        """
        if self.covers(first, last):
            return
        count = compared_articles.article_count(connection)
        where: tuple[ColumnElement[bool], ...] = ()
        low, high = -math.inf, math.inf
        if count > self._max_articles:
            low, high = self._bounds(connection, first, last)
            where = compared_articles.published_between(max(low, _FAR_PAST), min(high, _FAR_FUTURE))
        began, read = time.monotonic(), 0
        self._first, self._last = math.inf, -math.inf  # nothing is covered until all is read: reading may fail
        self.index = Index(self.index.weights)
        where = (*where, *conditions, *compared_articles.with_content(STORY_KINDS))
        for page in compared_articles.pages(connection, where, columns=compared_articles.INDEXED):
            self.put(page)
            if (read + len(page)) // _LOG_EVERY > read // _LOG_EVERY:
                log.info("The window is being loaded", articles=read + len(page), of=count)
            read += len(page)
            renew_lease()
        self._first = _first_covered(low, first)
        self._last = max(last, high - WINDOW_SECONDS)
        log.info("The window is loaded", articles=len(self.index), seconds=round(time.monotonic() - began, 2))

    def _bounds(self, connection: Connection, first: float, last: float) -> tuple[float, float]:
        """Return the times between which articles are loaded, to link those between `first` and `last`.

        These are at most two windows before and after, and no more articles on a side than half of the limit; before,
        all that the limit leaves if few come after.
        """
        half = self._max_articles // 2
        high = time_after(connection, last, half)
        before = half if high < math.inf else self._max_articles - count_after(connection, last)
        low = time_before(connection, first, before)
        return max(low, first - 2 * WINDOW_SECONDS), high if high == math.inf else min(high, last + 2 * WINDOW_SECONDS)

    def put(self, rows: Sequence[_Article], features: Features | None = None) -> tuple[list[_Article], Features]:
        """Add articles in their current version, and remove those that cannot be linked (any more).

        Returns the rows that can be linked, with their features (`features` if they are known). Versions that are in the
        index already are not added again.
        """
        visible = linkable(rows)
        if len(visible) < len(rows):
            stored = {row.id for row in visible}
            self.index.remove([row.id for row in rows if row.id not in stored])
        features = features or features_of_all([(row.title, row.excerpt) for row in visible])
        versions = np.array([row.changed_at.timestamp() for row in visible])
        ids = [row.id for row in visible]
        new = np.flatnonzero(self.index.versions_of(ids) != versions)
        self.index.add(
            [ids[place] for place in new],
            [time_of(visible[place]) for place in new],
            features.take(new),
            versions[new].tolist(),
            [site_of(visible[place]) for place in new],
        )
        return visible, features

    def trim(self) -> None:
        """Remove the oldest articles if the index is more than 10 % over its limit.

        Articles older than 14 days go first. Newer ones go only if those are not enough.
        """
        if len(self.index) <= self._max_articles * 1.1:
            return
        cut = min(time.time() - WINDOW_SECONDS, self.index.time_of_newest(self._max_articles))
        if len(self.index) - self.index.count_before(cut) > self._max_articles * 1.1:
            cut = self.index.time_of_newest(self._max_articles)
            log.warning(
                "The window holds less than 14 days",
                articles=self._max_articles,
                next="raise COPYDESK_LINK_WINDOW_ARTICLES to hold more",
            )
        self.index.forget_before(cut)
        self._first = max(self._first, _first_covered(cut, time.time()))


def linkable(rows: Sequence[_Article]) -> list[_Article]:
    """Return the articles that can be linked."""
    return [row for row in rows if row.orphaned_at is None and row.kind in STORY_KINDS]


def site_of(row: StoredArticle) -> int:
    """Return the number of an article's site, for the index."""
    return row.provider_id or 0


def in_reach(rows: Sequence[tuple[float, int]]) -> int:
    """Return how many of `rows`, (time, id) in order of time, are within `WINDOW_SECONDS` of the first."""
    return sum(1 for moment, _ in rows if moment <= rows[0][0] + WINDOW_SECONDS)


def _first_covered(low: float, moment: float) -> float:
    """Return from when on articles can be linked, if the index holds those from `low` on and new ones are of `moment`.

    To compare with all of 14 days, that is `low` and 14 days. If so many do not fit, an article is linked with what there
    is: to load others for each article that comes some days late would take seconds each time.
    """
    strict = low + WINDOW_SECONDS
    return strict if strict <= moment - WINDOW_SECONDS / 2 else low


__all__ = ["Window", "in_reach", "linkable", "site_of"]
