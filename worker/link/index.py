"""The window: an inverted index of recent articles that finds the ones most like a given text.

Similarity is the cosine of TF-IDF vectors (Salton and Buckley 1988) of title and excerpt. New articles enter a small
tail of Python lists; a full tail becomes a segment of sorted arrays, and segments of like size are merged, as in a
log-structured merge tree: adding costs little, and 100,000 articles fit in some 100 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.link.features import Features
from worker.link.frequencies import Frequencies
from worker.link.segment import Segment, merged, segment_of

WINDOW_SECONDS = 14 * 86_400.0
"""Two articles can be the same story when their times are at most this far apart."""
_TAIL = 256
_LARGEST_MERGED = 32_768  # articles; merging larger segments would need much memory for a moment
_MINOR_SHARE = 0.75  # of the floor: how much of a cosine is left to words that are only looked up
_DIGITS = 6  # of a score: the same whichever of the two articles is the query


@dataclass(slots=True, frozen=True)
class Query:
    """A text to compare: features with their weights, and which of them are only looked up.

    Most postings belong to the most common of a text's words, which decide little. Those whose weights together are at
    most `rest` (a share of the query's length, so that they add at most that to a cosine) find no articles; they only
    complete the score of articles that the others have found (prefix filtering, Bayardo et al. 2007).
    """

    buckets: NDArray[np.int32]
    weighted: NDArray[np.float64]
    minor_buckets: NDArray[np.int32]
    minor_weighted: NDArray[np.float64]
    rest: float

    @classmethod
    def of(cls, features: Features, weights: NDArray[np.float32], floor: float) -> Query | None:
        """The query that finds cosines of `floor` and more; None for a text that is like no other."""
        each = weights[features.buckets].astype(np.float64)
        lengths = features.counts * each
        norm = float(np.sqrt(np.dot(lengths, lengths)))
        if not norm:
            return None
        order = np.argsort(each, kind="stable")
        grown = np.sqrt(np.cumsum(lengths[order] ** 2)) / norm
        minor = int(np.searchsorted(grown, _MINOR_SHARE * floor, side="right"))
        rest = float(grown[minor - 1]) if minor else 0.0
        weighted = lengths * each / norm
        major = np.sort(order[minor:])
        few = np.sort(order[:minor][each[order[:minor]] > 0])
        return cls(features.buckets[major], weighted[major], features.buckets[few], weighted[few], rest)


class Index:
    """Articles by id, with their times in seconds. `set_frequencies` decides what each feature weighs."""

    def __init__(self, frequencies: Frequencies | None = None) -> None:
        self._weights = (frequencies or Frequencies()).weights()
        self._segments: list[Segment] = []
        self._tail: dict[int, tuple[float, float, Features]] = {}
        self._tail_postings: dict[int, dict[int, int]] = {}
        self._where: dict[int, Segment] = {}

    def __len__(self) -> int:
        return len(self._where) + len(self._tail)

    def __contains__(self, id_: int) -> bool:
        return id_ in self._where or id_ in self._tail

    def set_frequencies(self, frequencies: Frequencies) -> None:
        """Weigh everything anew."""
        self._weights = frequencies.weights()
        for segment in self._segments:
            segment.weigh(self._weights)
        self._tail = {id_: (time, self._norm(features), features) for id_, (time, _, features) in self._tail.items()}

    def add(self, id_: int, time: float, features: Features) -> None:
        """Let an article in, in place of an older version of it. One without words is like no other and stays out."""
        self.remove(id_)
        if not len(features):
            return
        self._tail[id_] = (time, self._norm(features), features)
        postings = self._tail_postings
        for bucket, count in zip(features.buckets.tolist(), features.counts.tolist(), strict=True):
            postings.setdefault(bucket, {})[id_] = count
        if len(self._tail) >= _TAIL:
            self._flush()

    def remove(self, id_: int) -> None:
        """Let an article go; one that is not there is no error."""
        if id_ in self._tail:
            for bucket in self._tail.pop(id_)[2].buckets.tolist():
                del self._tail_postings[bucket][id_]
                if not self._tail_postings[bucket]:
                    del self._tail_postings[bucket]
        elif id_ in self._where:
            segment = self._where.pop(id_)
            segment.ids[segment.ids == id_] = -1

    def forget_outside(self, first: float, last: float) -> None:
        """Let go of all articles whose time is not in `first`..`last`."""
        for id_, (time, _, _) in list(self._tail.items()):
            if not first <= time <= last:
                self.remove(id_)
        for segment in self._segments:
            outside = (segment.times < first) | (segment.times > last)
            for id_ in segment.ids[outside].tolist():
                self._where.pop(id_, None)
            segment.ids[outside] = -1
        self._segments = [one for one in self._segments if (one.ids >= 0).any()]

    def time_of_newest(self, count: int) -> float:
        """The time from which on there are `count` articles."""
        times = np.sort(self._times())
        return float(times[-count]) if len(times) >= count else -np.inf

    def count_before(self, moment: float) -> int:
        """How many articles are older."""
        return int((self._times() < moment).sum())

    def _times(self) -> NDArray[np.float64]:
        tail = np.array([time for time, _, _ in self._tail.values()], np.float64)
        return np.concatenate([*(one.times[one.ids >= 0] for one in self._segments), tail])

    @property
    def weights(self) -> NDArray[np.float32]:
        """The weight of each feature."""
        return self._weights

    def neighbours(
        self, id_: int, time: float, features: Features, *, floor: float, most: int
    ) -> list[tuple[int, float]]:
        """The ids and cosines (at least `floor`) of the `most` articles within the window that are most like this one.

        Best first; those equally alike by id. `id_` itself is left out.
        """
        query = Query.of(features, self._weights, floor)
        if query is None:
            return []
        found = [pair for segment in self._segments for pair in self._in_segment(segment, time, query, floor)]
        found += self._in_tail(time, query, floor)
        return sorted(((other, score) for other, score in found if other != id_), key=lambda one: (-one[1], one[0]))[
            :most
        ]

    def _norm(self, features: Features) -> float:
        lengths = self._weights[features.buckets].astype(np.float64) * features.counts
        return float(np.sqrt(np.dot(lengths, lengths)))

    def _in_segment(self, segment: Segment, time: float, query: Query, floor: float) -> Iterator[tuple[int, float]]:
        dots = segment.dots(query.buckets, query.weighted)
        if dots is None:
            return
        least = floor - query.rest - 10.0**-_DIGITS
        places = np.flatnonzero(dots >= least * segment.norms)
        near = np.abs(segment.times[places] - time) <= WINDOW_SECONDS
        near &= (segment.ids[places] >= 0) & (dots[places] > 0)
        places = places[near]
        if not len(places):
            return
        whole = dots[places] + segment.dots_of(places, query.minor_buckets, query.minor_weighted)
        for id_, score in zip(segment.ids[places].tolist(), (whole / segment.norms[places]).tolist(), strict=True):
            rounded = round(score, _DIGITS)
            if rounded >= floor:
                yield id_, rounded

    def _in_tail(self, time: float, query: Query, floor: float) -> Iterator[tuple[int, float]]:
        dots: dict[int, float] = {}
        for buckets, weighted in ((query.buckets, query.weighted), (query.minor_buckets, query.minor_weighted)):
            for bucket, weight in zip(buckets.tolist(), weighted.tolist(), strict=True):
                if weight and bucket in self._tail_postings:
                    for id_, count in self._tail_postings[bucket].items():
                        dots[id_] = dots.get(id_, 0.0) + weight * count
        for id_, dot in dots.items():
            other, norm, _ = self._tail[id_]
            rounded = round(dot / norm, _DIGITS)
            if rounded >= floor and abs(other - time) <= WINDOW_SECONDS:
                yield id_, rounded

    def _flush(self) -> None:
        """Make the tail a segment; merge the last segments while the one before is not much larger."""
        self._keep(segment_of(self._tail))
        self._tail, self._tail_postings = {}, {}
        while len(self._segments) > 1:
            last, before = self._segments[-1], self._segments[-2]
            if len(before.ids) > 2 * len(last.ids) or len(before.ids) + len(last.ids) > _LARGEST_MERGED:
                break
            del self._segments[-2:]
            self._keep(merged([before, last]))
        for segment in [one for one in self._segments if (one.ids < 0).sum() > len(one.ids) / 3]:
            self._segments = [one for one in self._segments if one is not segment]
            self._keep(merged([segment]))

    def _keep(self, segment: Segment) -> None:
        segment.weigh(self._weights)
        self._segments.append(segment)
        self._where.update(dict.fromkeys(segment.ids.tolist(), segment))


__all__ = ["WINDOW_SECONDS", "Index"]
