"""The weights of all features under some frequencies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worker.linking.texts.frequencies import Frequencies


class Weights:
    """The weight of each feature under some frequencies. `frequent` are the buckets of the frequent ones, ascending."""

    none = 65_535

    def __init__(self, frequencies: Frequencies) -> None:
        self.each = frequencies.weights()
        self.frequent = frequencies.frequent()
        self.idf_of_frequent = self.idf_of_words(self.frequent)
        self._largest_of_frequent = self.each[self.frequent].max()

    def of(self, buckets: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
        """Return the weight of each bucket, and its place in `frequent` (`none` for the others)."""
        each = self.each[buckets]
        numbers = np.full(len(buckets), self.none, np.uint16)
        # Few others have so small a weight. An array of the places of all buckets would take 8 MB.
        light = np.flatnonzero(each <= self._largest_of_frequent)
        at = np.searchsorted(self.frequent, buckets[light])
        at[at == len(self.frequent)] = 0
        is_frequent = self.frequent[at] == buckets[light]
        numbers[light[is_frequent]] = at[is_frequent]
        return each, numbers

    def idf_of_words(self, buckets: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the idf of each word, and 0 for a pair of words (an odd bucket)."""
        return np.where(buckets & 1, 0.0, self.each[buckets].astype(np.float64) ** 2)
