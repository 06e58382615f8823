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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.linking.search_query import Articles, Query
from worker.linking.texts.features import Features, gathered
from worker.linking.weights import Weights

_DAY_SECONDS = 86_400.0
WINDOW_DAYS = 14
WINDOW_SECONDS = WINDOW_DAYS * _DAY_SECONDS
"""Two articles can be one story only if their times are at most this far apart."""
FADING_DAYS = 28
"""The cosine is multiplied by e^(-1/28) for each day between two articles, because a later one is less likely the same
story. (Measured in two collections: MAP +.009 and +.014; half of it, 14 days, gives another +.001 and +.002.)"""
MAX_ARTICLES = 8_192  # in a segment; a place has two bytes, and merging needs memory for two segments
_COUNT_BITS, _BUCKET_SHIFT, _PLACE_MASK = 8, 24, 0xFFFF  # the layout of `Keys`
_PAIRS = 16_384  # pairs of a search that are completed at once; all of some collections would take 60 MB
_TINY = 1e-300  # less than any product of two weights
_SPARE = 1e-6  # tolerance for rounding, so that a bound is never too tight
_DIGITS = 6  # decimals of a score, so that it is the same whichever of the two articles is the query

Keys = NDArray[np.int64]
"""(bucket, place, count) of each feature of each article, packed into one integer, so that sorting needs one array.

A place is the index of an article in its segment.
"""


class Found(NamedTuple):
    """Pairs of a text and an article, as arrays: the text's index, the article's id, and the score.

    `shared`: the sum of the idf of the words that both contain, by their buckets. `days` are between them.
    """

    rows: NDArray[np.int64]
    ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    shared: NDArray[np.float64]
    days: NDArray[np.float64]


class _Postings(NamedTuple):
    """The postings of the rare features of some texts, in a table of `size` cells: texts × articles of a segment.

    `products` are their parts of the cosines. The postings of feature i are at `starts[i]:starts[i + 1]`. `idf` is that
    of the feature, 0 for a pair of words.
    """

    cells: NDArray[np.int64]
    products: NDArray[np.float64]
    starts: NDArray[np.int64]
    idf: NDArray[np.float64]
    size: int

    def idf_in(self, cells: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sum of the idf of the postings in each of some distinct cells."""
        if not len(cells):
            return np.zeros(0)
        number = np.zeros(self.size, np.int32)
        number[cells] = np.arange(1, len(cells) + 1)
        found = number[self.cells]
        inside = np.flatnonzero(found)
        features = np.searchsorted(self.starts, inside, "right") - 1
        return np.bincount(found[inside] - 1, self.idf[features], len(cells)).astype(np.float64, copy=False)


@dataclass(slots=True)
class Segment:
    """Articles by ascending id. The postings of `buckets[i]` are at `starts[i]:starts[i + 1]` of `places` and `counts`.

    The frequent features of article i are at `own_starts[i]:own_starts[i + 1]` of `own_numbers` and `own_counts`.
    `scale` is 1 divided by the length of its vector (0 if that is 0), and `share` is the length of its frequent part
    times that. `frequent` are the buckets of the frequent features by their number.
    `alive` is False for removed articles; no other array changes.
    """

    articles: Articles
    ids: NDArray[np.int64]
    alive: NDArray[np.bool_]
    scale: NDArray[np.float64]
    share: NDArray[np.float64]
    buckets: NDArray[np.int32]
    starts: NDArray[np.int32]
    places: NDArray[np.uint16]
    counts: NDArray[np.uint8]
    own_starts: NDArray[np.int64]
    own_numbers: NDArray[np.uint16]
    own_counts: NDArray[np.uint8]
    frequent: NDArray[np.int32]
    idf_of_frequent: NDArray[np.float64]

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
        return np.concatenate([rare, _packed(self.frequent[self.own_numbers], owners, self.own_counts)])

    def has_times_near(self, query: Query, days: float) -> bool:
        """Return False if all texts are more than `days` before the first article here, or after the last."""
        times, reach = self.articles["time"], days * _DAY_SECONDS
        return bool(query.times.max() >= times.min() - reach and query.times.min() <= times.max() + reach)

    def search(self, query: Query, floor: float, most_days: float = WINDOW_DAYS) -> Found:
        """Return the pairs with a score of at least `floor`, without those of one site with different titles.

        `most_days` may lie between the two.
        """
        postings = self._postings(query)
        rows, places, parts = self._candidates(query, floor, postings)
        days = np.abs(self.articles["time"][places] - query.times[rows]) / _DAY_SECONDS
        faded = np.exp(-days / FADING_DAYS)
        # The bound of `_candidates` again, with the time between the two articles: it leaves a third of the pairs.
        highest = (parts + query.share[rows] * self.share[places]) * faded
        near = (days <= most_days) & self.alive[places] & (self.scale[places] > 0) & (highest >= floor - _SPARE)
        near = np.flatnonzero(near)
        near = near[~self._are_series(query, rows[near], places[near])]
        rows, places, parts, days, faded = rows[near], places[near], parts[near], days[near], faded[near]
        frequent, shared = self._frequent_parts(query, rows, places)
        parts = parts + frequent * self.scale[places]
        scores = np.round(parts * faded, _DIGITS)
        reached = (scores >= floor) & (parts > 0)
        shared = shared[reached]
        rows, places = rows[reached], places[reached]
        shared = shared + postings.idf_in(rows * len(self) + places)
        return Found(rows, self.ids[places], scores[reached], shared, days[reached])

    def _frequent_parts(
        self, query: Query, rows: NDArray[np.int64], places: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return for each pair the sum of the products of its frequent features, and the idf of the words among them."""
        sums, shared = np.zeros(len(rows)), np.zeros(len(rows))
        for start in range(0, len(rows), _PAIRS):
            part = slice(start, start + _PAIRS)
            at, starts = gathered(self.own_starts, places[part])
            sizes, numbers = np.diff(starts), self.own_numbers[at]
            pairs = np.repeat(np.arange(len(sizes)), sizes)
            # One index into the flat array: two indexes take twice as long.
            values = query.frequent.ravel().take(np.repeat(rows[part] * query.frequent.shape[1], sizes) + numbers)
            sums[part] = np.bincount(pairs, values * self.own_counts[at], len(sizes))
            shared[part] = np.bincount(pairs, (values > 0) * self.idf_of_frequent[numbers], len(sizes))
        return sums, shared

    def _are_series(self, query: Query, rows: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether text and article are of one site with different titles (see `similar_links.may_be_linked`)."""
        sites, titles = self.articles["site"][places], self.articles["title"][places]
        are_series: NDArray[np.bool_] = (sites != 0) & (sites == query.sites[rows]) & (titles != query.titles[rows])
        return are_series

    def _candidates(
        self, query: Query, floor: float, postings: _Postings
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return the pairs that can reach `floor` as arrays: index of the text, place, rare part of the cosine."""
        parts = np.bincount(postings.cells, postings.products, postings.size).astype(np.float64, copy=False)
        minimum = floor - _SPARE
        lowest = minimum - query.share * self.share.max(initial=0.0)
        # One comparison of all cells costs less than any arithmetic with those that are not zero.
        can = np.flatnonzero(parts.reshape(-1, len(self)) >= np.maximum(lowest, _TINY)[:, None])
        rows, places = np.divmod(can, len(self))
        can = can[parts[can] >= minimum - query.share[rows] * self.share[places]]
        every = [can]
        for row in np.flatnonzero(lowest <= 0).tolist():
            # Articles that share no rare feature with the text can still reach the floor by frequent ones alone.
            others = row * len(self) + np.flatnonzero(query.share[row] * self.share >= minimum)
            every.append(others[parts[others] == 0])
        can = np.concatenate(every)
        rows, places = np.divmod(can, len(self))
        return rows, places, parts[can]

    def _postings(self, query: Query) -> _Postings:
        at = np.searchsorted(self.buckets, query.buckets)
        at[at == len(self.buckets)] = 0
        hits = np.flatnonzero(self.buckets[at] == query.buckets) if len(self.buckets) else at[:0]
        postings, starts = gathered(self.starts, at[hits])
        sizes = np.diff(starts)
        places = self.places.take(postings)
        # In place: each further array of this length costs a tenth of a search.
        cells = np.repeat(query.rows[hits] * len(self), sizes)
        cells += places
        products = np.repeat(query.values[hits], sizes)
        products *= self.counts.take(postings)
        products *= self.scale.take(places)
        return _Postings(cells, products, starts, query.idf[hits], len(query.times) * len(self))


def segment_of(articles: Articles, features: Features, weights: Weights) -> Segment:
    """Build a segment of articles with distinct ids."""
    order = np.argsort(articles["id"])
    features = features.take(order)
    keys = _packed(features.buckets, features.rows(), features.counts)
    return _built(articles[order], keys, weights)


def merged(segments: Sequence[Segment], weights: Weights) -> Segment:
    """Merge segments into one, without the articles that were removed."""
    articles = np.concatenate([one.articles[one.alive] for one in segments])
    order = np.argsort(articles["id"])
    place_of = np.empty(len(order), np.int64)
    place_of[order] = np.arange(len(order))
    parts, base = [], 0
    for one in segments:
        now = np.full(len(one), -1, np.int64)
        count = int(np.count_nonzero(one.alive))
        now[one.alive] = place_of[base : base + count]
        base += count
        parts.append(_moved(one.keys(), now))
    return _built(articles[order], np.concatenate(parts), weights)


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


def _built(articles: Articles, keys: Keys, weights: Weights) -> Segment:
    """Build a segment of articles by ascending id. `keys` are all their features; it is changed."""
    size = len(articles)
    keys.sort(kind="stable")  # merges what is sorted: 2 instead of 36 ms for two segments of 3,000 articles
    buckets, places, counts = _unpacked(keys)
    each, numbers = weights.of(buckets)
    is_frequent = numbers != weights.none
    lengths = each.astype(np.float64)
    lengths *= counts
    lengths *= lengths
    squares = np.bincount(places, lengths, size)
    own_places = places[is_frequent]
    parts = np.bincount(own_places, lengths[is_frequent], size)
    del each, lengths
    order = np.argsort(own_places, kind="stable")
    is_rare = ~is_frequent
    first = np.flatnonzero(np.diff(buckets[is_rare], prepend=-1))
    return Segment(
        articles,
        articles["id"].copy(),
        np.ones(size, np.bool_),
        np.sqrt(np.divide(1.0, squares, out=np.zeros(size), where=squares > 0)),
        np.sqrt(np.divide(parts, squares, out=np.zeros(size), where=squares > 0)),
        buckets[is_rare][first],
        np.append(first, np.count_nonzero(is_rare)).astype(np.int32),
        places[is_rare],
        counts[is_rare],
        np.searchsorted(own_places[order], np.arange(size + 1)),
        numbers[is_frequent][order],
        counts[is_frequent][order],
        weights.frequent,
        weights.idf_of_frequent,
    )


def _unpacked(keys: Keys) -> tuple[NDArray[np.int32], NDArray[np.uint16], NDArray[np.uint8]]:
    """Return bucket, place and count of each key."""
    return (keys >> _BUCKET_SHIFT).astype(np.int32), (keys >> _COUNT_BITS).astype(np.uint16), keys.astype(np.uint8)
