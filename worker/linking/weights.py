"""The weights of all features under some frequencies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worker.linking.texts.frequencies import Frequencies


class Weights:
    """The weight of each feature under some frequencies, and a number for each frequent one (`none` for the others)."""

    none = 65_535

    def __init__(self, frequencies: Frequencies) -> None:
        self.each = frequencies.weights()
        self.frequent = frequencies.frequent()
        self.number: NDArray[np.uint16] = np.full(len(self.each), self.none, np.uint16)
        self.number[self.frequent] = np.arange(len(self.frequent))
        self.idf_of_frequent = self.idf_of_words(self.frequent)

    def idf_of_words(self, buckets: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the idf of each word, and 0 for a pair of words (an odd bucket)."""
        return np.where(buckets & 1, 0.0, self.each[buckets].astype(np.float64) ** 2)
