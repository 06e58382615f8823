"""A part of the index that does not change: postings of some articles as sorted arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.link.features import Features


@dataclass(slots=True)
class Segment:
    """Articles whose postings do not change. Postings are sorted by bucket, then by place.

    `buckets[i]` has the postings `starts[i]:starts[i + 1]`; a posting is an article's place here and a count.
    """

    ids: NDArray[np.int64]
    times: NDArray[np.float64]
    norms: NDArray[np.float64]
    buckets: NDArray[np.int32]
    starts: NDArray[np.int32]
    places: NDArray[np.int32]
    counts: NDArray[np.uint8]

    def weigh(self, weights: NDArray[np.float32]) -> None:
        """Set the length of each article's vector under `weights`."""
        lengths = np.repeat(weights[self.buckets].astype(np.float64), np.diff(self.starts)) * self.counts
        squares = np.bincount(self.places, lengths * lengths, len(self.ids))
        self.norms = np.sqrt(squares)

    def dots(self, buckets: NDArray[np.int32], weighted: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The dot product of a query with each article; None when nothing is shared."""
        at = self._places_of(buckets)
        at, weighted = at[at >= 0], weighted[at >= 0]
        begins = self.starts[at]
        sizes = self.starts[at + 1] - begins
        total = int(sizes.sum())
        if not total:
            return None
        ends = np.cumsum(sizes)
        postings = np.arange(total) + np.repeat(begins - ends + sizes, sizes)
        products = np.repeat(weighted, sizes) * self.counts[postings]
        found: NDArray[np.float64] = np.bincount(self.places[postings], products, len(self.ids)).astype(
            np.float64, copy=False
        )
        return found

    def dots_of(
        self, places: NDArray[np.intp], buckets: NDArray[np.int32], weighted: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The dot product of a query with few articles, by looking them up in long postings."""
        found = np.zeros(len(places), np.float64)
        for at, weight in zip(self._places_of(buckets).tolist(), weighted.tolist(), strict=True):
            if at >= 0:
                begin, end = self.starts[at], self.starts[at + 1]
                hits = np.searchsorted(self.places[begin:end], places)
                hits[hits == end - begin] = 0
                hits += begin
                found += weight * np.where(self.places[hits] == places, self.counts[hits], 0)
        return found

    def _places_of(self, buckets: NDArray[np.int32]) -> NDArray[np.intp]:
        """Where each bucket is in `self.buckets`; -1: nowhere."""
        at = np.searchsorted(self.buckets, buckets)
        at[at == len(self.buckets)] = 0
        at[self.buckets[at] != buckets] = -1
        return at


def segment_of(articles: dict[int, tuple[float, float, Features]]) -> Segment:
    """A segment of articles, by id: (time, length of the vector, features)."""
    entries = list(articles.values())
    places = np.repeat(np.arange(len(entries), dtype=np.int32), [len(features) for _, _, features in entries])
    return _sorted(
        np.array(list(articles), np.int64),
        np.array([time for time, _, _ in entries], np.float64),
        np.concatenate([features.buckets for _, _, features in entries]),
        places,
        np.concatenate([features.counts for _, _, features in entries]),
    )


def merged(segments: Sequence[Segment]) -> Segment:
    """All as one, without the articles that were removed."""
    ids, times, buckets, places, counts = [], [], [], [], []
    base = 0
    for segment in segments:
        alive = segment.ids >= 0
        renumbered = np.cumsum(alive, dtype=np.int32) - np.int32(1) + np.int32(base)
        kept = alive[segment.places]
        ids.append(segment.ids[alive])
        times.append(segment.times[alive])
        buckets.append(np.repeat(segment.buckets, np.diff(segment.starts))[kept])
        places.append(renumbered[segment.places[kept]])
        counts.append(segment.counts[kept])
        base += int(alive.sum())
    return _sorted(*(np.concatenate(parts) for parts in (ids, times, buckets, places, counts)))


def _sorted(
    ids: NDArray[np.int64],
    times: NDArray[np.float64],
    buckets: NDArray[np.int32],
    places: NDArray[np.int32],
    counts: NDArray[np.uint8],
) -> Segment:
    order = np.argsort(buckets, kind="stable")
    distinct, sizes = np.unique(buckets[order], return_counts=True)
    starts = np.zeros(len(distinct) + 1, np.int32)
    np.cumsum(sizes, out=starts[1:])
    norms = np.zeros(len(ids), np.float64)
    return Segment(ids, times, norms, distinct, starts, places[order], counts[order])
