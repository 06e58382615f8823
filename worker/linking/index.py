"""An index of recent articles that finds the articles most similar to given texts.

Similarity is the cosine of the TF-IDF vectors (Salton and Buckley 1988) of title and excerpt, reduced by the time
between the two articles. Articles are in segments of sorted arrays. Segments of similar size are merged, as in a
log-structured merge tree, so adding is cheap. There is no Python object per article, and 100,000 articles take about 50
MB. Calls with many articles at once are the fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.linking.search_query import ARTICLE, Articles, Query
from worker.linking.segment import (
    MAX_ARTICLES,
    WINDOW_DAYS,
    WINDOW_SECONDS,
    Found,
    Segment,
    merged,
    segment_of,
)
from worker.linking.texts.features import Features
from worker.linking.texts.frequencies import Frequencies
from worker.linking.weights import Weights

_SMALL = 32  # articles; smaller segments are always merged, which limits the number of segments
_QUERIES_PER_PASS = 128  # texts; a search holds this many sums for each article of a segment, at most 8 MB


class Neighbour(NamedTuple):
    """A similar article: its id and score, the idf of the words that both contain, and the days between them."""

    id: int
    score: float
    shared: float
    days: float


class Index:
    """Articles by id, with their times in seconds since 1970. `set_frequencies` sets the weights of the features.

    Not safe for use by several threads.
    """

    def __init__(self, weights: Weights | None = None) -> None:
        self._weights = weights or Weights(Frequencies())
        self._segments: list[Segment] = []

    def __len__(self) -> int:
        return sum(int(np.count_nonzero(one.alive)) for one in self._segments)

    @property
    def weights(self) -> Weights:
        """The weights of the features."""
        return self._weights

    def set_frequencies(self, frequencies: Frequencies) -> None:
        """Set the weights from `frequencies` and rebuild all segments with them."""
        del self._weights  # 24 MB, before as much is needed again
        self._weights = Weights(frequencies)
        for place, segment in enumerate(self._segments):
            self._segments[place] = merged([segment], self._weights)

    def add(
        self,
        ids: Sequence[int],
        times: Sequence[float],
        features: Features,
        versions: Sequence[float] | None = None,
        sites: Sequence[int] | None = None,
    ) -> None:
        """Add articles with distinct ids, and replace older versions of them.

        An article without words is similar to none and is left out. `versions` are the caller's numbers for
        `versions_of`. `sites`: a number for each article that is equal for those of one site, 0 if it is not known.
        """
        self.remove(ids)
        articles = _articles(ids, times, features, versions, sites)
        with_words = np.flatnonzero(np.diff(features.starts))
        for start in range(0, len(with_words), MAX_ARTICLES):
            rows = with_words[start : start + MAX_ARTICLES]
            self._segments.append(segment_of(articles[rows], features.take(rows), self._weights))
            self._merge()

    def remove(self, ids: Sequence[int]) -> None:
        """Remove articles; ids that are not in the index are ignored."""
        id_array = np.asarray(ids, np.int64)
        for segment in self._segments:
            places = segment.places_of(id_array)
            segment.alive[places[places >= 0]] = False
        self._segments = [one for one in self._segments if one.alive.any()]

    def versions_of(self, ids: Sequence[int]) -> NDArray[np.float64]:
        """Return the version of each article; NaN for those that are not in the index."""
        id_array = np.asarray(ids, np.int64)
        versions = np.full(len(id_array), np.nan)
        for segment in self._segments:
            places = segment.places_of(id_array)
            versions[places >= 0] = segment.articles["version"][places[places >= 0]]
        return versions

    def forget_before(self, first: float) -> None:
        """Remove all articles with a time before `first`."""
        for segment in self._segments:
            segment.alive &= segment.articles["time"] >= first
        self._segments = [one for one in self._segments if one.alive.any()]

    def time_of_newest(self, count: int) -> float:
        """Return the time of the `count`-th newest article; minus infinity if there are fewer."""
        times = np.sort(self._times())
        return float(times[-count]) if len(times) >= count else -np.inf

    def count_before(self, moment: float) -> int:
        """Return how many articles have a time before `moment`."""
        return int((self._times() < moment).sum())

    def _times(self) -> NDArray[np.float64]:
        return np.concatenate([np.zeros(0), *(one.articles["time"][one.alive] for one in self._segments)])

    def neighbours(
        self,
        ids: Sequence[int],
        times: Sequence[float],
        features: Features,
        *,
        floor: float,
        limit: int,
        days: float = WINDOW_DAYS,
        sites: Sequence[int] | None = None,
        is_candidate: Callable[[Found], NDArray[np.bool_]] | None = None,
    ) -> list[list[Neighbour]]:
        """Return for each text the `limit` most similar articles with a score of at least `floor`.

        Only articles at most `days` from the text count. Articles of the text's own site (see `add`) count
        only if their title is the same; without `sites` they all count. `is_candidate` says which pairs count further.
        The best is first; equal scores are ordered by id. The text's own id is left out.
        """
        similar: list[list[Neighbour]] = [[] for _ in ids]
        articles = _articles(ids, times, features, None, sites)
        for start in range(0, len(ids), _QUERIES_PER_PASS):
            rows = np.arange(start, min(start + _QUERIES_PER_PASS, len(ids)))
            query = Query(articles[rows], features.take(rows), self._weights)
            for segment in self._segments:
                if not segment.has_times_near(query, days):
                    continue
                found = segment.search(query, floor, days)
                chosen = found.ids != articles["id"][rows[found.rows]]
                if is_candidate is not None:
                    chosen &= is_candidate(found)
                for row, *neighbour in zip(*(one[chosen].tolist() for one in found), strict=True):
                    similar[start + row].append(Neighbour(*neighbour))
        return [sorted(one, key=lambda found: (-found.score, found.id))[:limit] for one in similar]

    def _merge(self) -> None:
        """Merge the last segments while the one before is at most twice as large; rebuild segments half empty."""
        while len(self._segments) > 1:
            last, before = self._segments[-1], self._segments[-2]
            if len(before) > max(2 * len(last), _SMALL) or len(before) + len(last) > MAX_ARTICLES:
                break
            self._segments[-2:] = [merged([before, last], self._weights)]
        for place, segment in enumerate(self._segments):
            if np.count_nonzero(segment.alive) < len(segment) / 2:
                self._segments[place] = merged([segment], self._weights)


def _articles(
    ids: Sequence[int],
    times: Sequence[float],
    features: Features,
    versions: Sequence[float] | None,
    sites: Sequence[int] | None,
) -> Articles:
    articles = np.zeros(len(ids), ARTICLE)
    articles["id"], articles["time"], articles["title"] = ids, times, features.titles
    if versions is not None:
        articles["version"] = versions
    if sites is not None:
        articles["site"] = sites
    return articles


__all__ = ["WINDOW_SECONDS", "Index", "Neighbour"]
