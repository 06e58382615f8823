"""In how many documents each feature occurs, and what a feature weighs by that (its inverse document frequency)."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from worker.linking.features import FEATURE_BITS, FUNCTION_BUCKETS, Features

COMMON_SHARE = 0.10
"""A word in more documents than this says nothing about a story and is skipped."""
FREQUENT_SHARE = 1 / 256
"""What occurs in more documents than this is kept article by article, and not in postings: see `segment.py`."""
_LEAST_FREQUENT = 16
_MOST_FREQUENT = 65_535  # numbered in two bytes
_PRIOR_DOCUMENTS = 100.0
"""A store that is nearly empty is read as if so many documents had been seen, half of them with each function word:
otherwise the first articles would be tied by `the` and `of`."""


class Frequencies:
    """Document frequencies of features over a number of documents."""

    __slots__ = ("counts", "documents")

    def __init__(self) -> None:
        self.documents = 0
        self.counts: NDArray[np.int32] = np.zeros(1 << FEATURE_BITS, np.int32)

    def add(self, features: Features) -> None:
        """Count these documents too."""
        self.documents += len(features)
        np.add.at(self.counts, features.buckets, 1)

    def merge(self, other: Frequencies) -> None:
        """Count the documents of `other` too."""
        self.documents += other.documents
        self.counts += other.counts

    def copy(self) -> Frequencies:
        """A copy that changes by itself."""
        new = Frequencies.__new__(Frequencies)
        new.documents, new.counts = self.documents, self.counts.copy()
        return new

    def weights(self) -> NDArray[np.float32]:
        """The weight of each feature; 0 where it is too common to count.

        The square root of ln((N + prior) / (documents with it + 1/2)), so that what two articles share counts its
        idf once, as in BM25; a pair of words, whose words count already, half of that. (Measured against the plain
        product: MAP .58 for .56 and .42 for .41.)
        """
        total = self.documents + _PRIOR_DOCUMENTS
        # One value for each number of documents, then two look-ups: a logarithm of two million counts takes 20 times as long.
        seen = np.arange(int(self.counts.max()) + int(_PRIOR_DOCUMENTS), dtype=np.float64)
        idf = np.log(total / (seen + 0.5)).clip(0)
        idf[seen > COMMON_SHARE * total] = 0
        words, pairs = np.sqrt(idf).astype(np.float32), np.sqrt(idf / 2).astype(np.float32)
        weights: NDArray[np.float32] = np.empty(len(self.counts), np.float32)
        weights[0::2] = words[self.counts[0::2]]
        weights[1::2] = pairs[self.counts[1::2]]
        weights[FUNCTION_BUCKETS] = words[self.counts[FUNCTION_BUCKETS] + int(_PRIOR_DOCUMENTS / 2)]
        return weights

    def frequent(self) -> NDArray[np.int32]:
        """The buckets that occur in more than `FREQUENT_SHARE` of the documents, ascending; some tens of thousands at most."""
        least = max(_LEAST_FREQUENT, FREQUENT_SHARE * self.documents)
        found = np.union1d(np.flatnonzero(self.counts > least).astype(np.int32), FUNCTION_BUCKETS)
        return found if len(found) <= _MOST_FREQUENT else found[:_MOST_FREQUENT]

    def dump(self) -> bytes:
        """As bytes: the buckets that occur (as distances) and their counts, compressed."""
        buckets = np.flatnonzero(self.counts).astype(np.uint32)
        distances = np.diff(buckets, prepend=np.uint32(0)).astype("<u4")
        return zlib.compress(distances.tobytes() + self.counts[buckets].astype("<i4").tobytes(), 6)

    @classmethod
    def load(cls, documents: int, data: bytes) -> Frequencies:
        """The inverse of `dump`. Raises zlib.error or ValueError for other bytes."""
        new = cls()
        new.documents = documents
        numbers = np.frombuffer(zlib.decompress(data), "<u4")
        half = len(numbers) // 2
        new.counts[np.cumsum(numbers[:half])] = numbers[half:].astype(np.int32)
        return new
