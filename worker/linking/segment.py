"""A segment of the index. A search finds its articles by rare features and completes their scores by frequent ones.

Most postings of an inverted index belong to its most frequent words, which add little to a score. So only *rare*
features have postings here; the *frequent* features are stored with each article. A search first sums the products of
the rare features. By Cauchy-Schwarz the frequent ones add at most the product of the two vectors' shares of frequent
features. So they are summed only for articles that can still reach the floor. (Prefix filtering, Bayardo et al. 2007,
with the bound of both sides.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.linking.texts.features import Features, gathered
from worker.linking.texts.frequencies import Frequencies

WINDOW_SECONDS = 14 * 86_400.0
"""Two articles can be one story only if their times are at most this far apart."""
FADING_SECONDS = 28 * 86_400.0
"""The cosine is multiplied by e^(-1/28) for each day between two articles, because a later one is less likely the same
story. (Measured in two collections: MAP +.009 and +.014; half of it, 14 days, gives another +.001 and +.002.)"""
MAX_ARTICLES = 8_192  # in a segment; a place has two bytes, and merging needs memory for two segments
_COUNT_BITS, _BUCKET_SHIFT, _PLACE_MASK = 8, 24, 0xFFFF  # the layout of `Keys`
_SPARE = 1e-6  # tolerance for rounding, so that a bound is never too tight
_DIGITS = 6  # decimals of a score, so that it is the same whichever of the two articles is the query

Keys = NDArray[np.int64]
"""(bucket, place, count) of each feature of each article, packed into one integer, so that sorting needs one array.

A place is the index of an article in its segment.
"""


class Weights:
    """The weight of each feature under some frequencies, and a number for each frequent one (`none` for the others)."""

    none = 65_535

    def __init__(self, frequencies: Frequencies) -> None:
        self.each = frequencies.weights()
        self.frequent = frequencies.frequent()
        self.number: NDArray[np.uint16] = np.full(len(self.each), self.none, np.uint16)
        self.number[self.frequent] = np.arange(len(self.frequent))


class Query:
    """Texts to search for, as unit vectors under `weights`. Each entry is also multiplied by the feature's weight.

    The second factor is the weight of the feature in the other text, so a search multiplies only with its counts.
    """

    def __init__(self, times: NDArray[np.float64], features: Features, weights: Weights) -> None:
        self.times = times
        rows, each = features.rows(), weights.each[features.buckets].astype(np.float64)
        lengths = features.counts * each
        norms = np.sqrt(np.bincount(rows, lengths * lengths, len(features)))
        values = np.divide(lengths * each, norms[rows], out=np.zeros(len(rows)), where=norms[rows] > 0)
        numbers = weights.number[features.buckets]
        frequent = numbers != weights.none
        parts = np.bincount(rows[frequent], lengths[frequent] ** 2, len(features))
        self.share = np.sqrt(np.divide(parts, norms**2, out=np.zeros(len(norms)), where=norms > 0))
        self.frequent = np.zeros((len(features), len(weights.frequent)))
        self.frequent[rows[frequent], numbers[frequent]] = values[frequent]
        rare = np.flatnonzero(~frequent & (values > 0))
        rare = rare[np.argsort(features.buckets[rare], kind="stable")]
        self.buckets, self.rows, self.values = features.buckets[rare], rows[rare], values[rare]


@dataclass(slots=True)
class Segment:
    """Articles by ascending id. The postings of `buckets[i]` are at `starts[i]:starts[i + 1]` of `places` and `counts`.

    The frequent features of article i are at `own_starts[i]:own_starts[i + 1]` of `own_numbers` and `own_counts`.
    `norms` is the length of its vector, and `share` is the length of its frequent part divided by that. `versions` are
    the caller's numbers. `alive` is False for removed articles; no other array changes.
    """

    ids: NDArray[np.int64]
    times: NDArray[np.float64]
    versions: NDArray[np.float64]
    alive: NDArray[np.bool_]
    norms: NDArray[np.float64]
    share: NDArray[np.float64]
    buckets: NDArray[np.int32]
    starts: NDArray[np.int32]
    places: NDArray[np.uint16]
    counts: NDArray[np.uint8]
    own_starts: NDArray[np.int64]
    own_numbers: NDArray[np.uint16]
    own_counts: NDArray[np.uint8]
    weights: Weights

    def __len__(self) -> int:
        return len(self.ids)

    def places_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place of each article in this segment; -1 if it is not here or was removed."""
        at = np.searchsorted(self.ids, ids)
        at[at == len(self)] = 0
        at[(self.ids[at] != ids) | ~self.alive[at]] = -1
        return at

    def keys(self) -> Keys:
        """Return all features of all articles, in no particular order."""
        owners = np.repeat(np.arange(len(self)), np.diff(self.own_starts))
        rare = _packed(np.repeat(self.buckets, np.diff(self.starts)), self.places, self.counts)
        return np.concatenate([rare, _packed(self.weights.frequent[self.own_numbers], owners, self.own_counts)])

    def search(self, query: Query, floor: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return the pairs with a score of at least `floor` as three arrays: index of the text, article id, score."""
        rows, places, dots = self._candidates(query, floor)
        if not len(rows):
            return rows, self.ids[:0], dots
        apart = np.abs(self.times[places] - query.times[rows])
        faded = np.exp(-apart / FADING_SECONDS)
        # The bound of `_candidates` again, with the time between the two articles: it leaves a third of the pairs.
        norms = self.norms[places]
        highest = (dots + query.share[rows] * self.share[places] * norms) * faded
        near = (apart <= WINDOW_SECONDS) & self.alive[places] & (norms > 0) & (highest >= (floor - _SPARE) * norms)
        rows, places, dots, faded = rows[near], places[near], dots[near], faded[near]
        at, starts = gathered(self.own_starts, places)
        sizes = np.diff(starts)
        pairs = np.repeat(np.arange(len(rows)), sizes)
        # One index into the flat array: two indexes take twice as long.
        cells = np.repeat(rows * query.frequent.shape[1], sizes) + self.own_numbers[at]
        products = query.frequent.ravel().take(cells) * self.own_counts[at]
        dots = dots + np.bincount(pairs, products, len(rows))
        scores = np.round(dots / self.norms[places] * faded, _DIGITS)
        reached = (scores >= floor) & (dots > 0)
        return rows[reached], self.ids[places[reached]], scores[reached]

    def _candidates(
        self, query: Query, floor: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return the pairs that can reach `floor` as arrays: index of the text, place, dot product of rare features."""
        dots = self._rare_dots(query)
        minimum = floor - _SPARE
        touched = np.flatnonzero(dots)
        rows, places = np.divmod(touched, len(self))
        can = dots[touched] >= (minimum - query.share[rows] * self.share[places]) * self.norms[places]
        every_row, every_place = [rows[can]], [places[can]]
        highest = float(self.share.max(initial=0.0))
        for row in np.flatnonzero(query.share * highest >= minimum).tolist():
            # Articles that share no rare feature with the text can still reach the floor by frequent ones alone.
            others = np.flatnonzero(query.share[row] * self.share >= minimum)
            others = others[dots[row * len(self) + others] == 0]
            every_row.append(np.full(len(others), row))
            every_place.append(others)
        rows, places = np.concatenate(every_row), np.concatenate(every_place)
        return rows, places, dots[rows * len(self) + places]

    def _rare_dots(self, query: Query) -> NDArray[np.float64]:
        """Return the dot product of the rare features of each text with each article, flattened row by row."""
        at = np.searchsorted(self.buckets, query.buckets)
        at[at == len(self.buckets)] = 0
        hit = np.flatnonzero(self.buckets[at] == query.buckets) if len(self.buckets) else at[:0]
        if not len(hit):
            return np.zeros(len(query.times) * len(self))
        postings, starts = gathered(self.starts, at[hit])
        sizes = np.diff(starts)
        cells = np.repeat(query.rows[hit] * len(self), sizes) + self.places[postings]
        products = np.repeat(query.values[hit], sizes) * self.counts[postings]
        return np.bincount(cells, products, len(query.times) * len(self)).astype(np.float64, copy=False)


def segment_of(
    ids: NDArray[np.int64],
    times: NDArray[np.float64],
    versions: NDArray[np.float64],
    features: Features,
    weights: Weights,
) -> Segment:
    """Build a segment of articles with distinct ids."""
    order = np.argsort(ids)
    features = features.take(order)
    keys = _packed(features.buckets, features.rows(), features.counts)
    return _built(ids[order], times[order], versions[order], keys, weights)


def merged(segments: Sequence[Segment], weights: Weights) -> Segment:
    """Merge segments into one, without the articles that were removed."""
    ids = np.concatenate([one.ids[one.alive] for one in segments])
    order = np.argsort(ids)
    place_of = np.empty(len(ids), np.int64)
    place_of[order] = np.arange(len(ids))
    parts, base = [], 0
    for one in segments:
        now = np.full(len(one), -1, np.int64)
        now[one.alive] = place_of[base : base + int(one.alive.sum())]
        base += int(one.alive.sum())
        parts.append(_moved(one.keys(), now))
    times, versions = (
        np.concatenate(list(chosen))[order]
        for chosen in ([one.times[one.alive] for one in segments], [one.versions[one.alive] for one in segments])
    )
    return _built(ids[order], times, versions, np.concatenate(parts), weights)


def _packed(buckets: NDArray[np.int32], places: NDArray[np.integer], counts: NDArray[np.uint8]) -> Keys:
    keys = buckets.astype(np.int64) << _BUCKET_SHIFT
    keys |= places.astype(np.int64) << _COUNT_BITS
    keys |= counts
    return keys


def _moved(keys: Keys, now: NDArray[np.int64]) -> Keys:
    """Return the keys with each place replaced by `now[place]`, without those whose new place is -1 (removed)."""
    places = now[keys >> _COUNT_BITS & _PLACE_MASK]
    keys, places = keys[places >= 0], places[places >= 0]
    keys &= ~(_PLACE_MASK << _COUNT_BITS)
    keys |= places << _COUNT_BITS
    return keys


def _built(
    ids: NDArray[np.int64], times: NDArray[np.float64], versions: NDArray[np.float64], keys: Keys, weights: Weights
) -> Segment:
    buckets, places, counts = _unpacked(keys)
    numbers = weights.number[buckets]
    frequent = numbers != weights.none
    lengths = (weights.each[buckets].astype(np.float64) * counts) ** 2
    squares = np.bincount(places, lengths, len(ids))
    parts = np.bincount(places[frequent], lengths[frequent], len(ids))
    own = places[frequent] << _BUCKET_SHIFT | numbers[frequent].astype(np.int64) << _COUNT_BITS | counts[frequent]
    own.sort()
    owners, own_numbers, own_counts = _unpacked(own)
    keys = keys[~frequent]
    keys.sort()
    buckets, places, counts = _unpacked(keys)
    first = np.flatnonzero(np.diff(buckets, prepend=-1))
    return Segment(
        ids,
        times,
        versions,
        np.ones(len(ids), np.bool_),
        np.sqrt(squares),
        np.sqrt(np.divide(parts, squares, out=np.zeros(len(ids)), where=squares > 0)),
        buckets[first].astype(np.int32),
        np.append(first, len(buckets)).astype(np.int32),
        places.astype(np.uint16),
        counts.astype(np.uint8),
        np.searchsorted(owners, np.arange(len(ids) + 1)),
        own_numbers.astype(np.uint16),
        own_counts.astype(np.uint8),
        weights,
    )


def _unpacked(keys: Keys) -> tuple[Keys, Keys, Keys]:
    return keys >> _BUCKET_SHIFT, keys >> _COUNT_BITS & _PLACE_MASK, keys & (1 << _COUNT_BITS) - 1
