"""Document frequencies of features, and the weights that follow from them (inverse document frequency, IDF)."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from worker.linking.texts.features import FEATURE_BITS, FUNCTION_BUCKETS, Features, script_range, scripts_in
from worker.linking.texts.words import FIRST_UNSPACED, SCRIPTS

COMMON_SHARE = 0.10
"""A word in more than this share of the documents says nothing about a story. Its weight is 0.

A pair of words keeps its weight, and so does a pair of characters where words are not separated: copies of one report
share nearly all of these. Without them, copies that are more than this share of a day had no link at all. (Measured,
with the pairs' weights and without: MAP of two collections .460 and .601 instead of .457 and .597; of 24 more links that
are judged, 22 are one event and 2 follow-ups.)
"""
FREQUENT_SHARE = 1 / 32
"""A feature in more than this share of documents is stored with each article, without postings: see `segment.py`.

(Measured with scores from 0.20 on and a window of 10,000, ms of CPU an article at 1/256, 1/64, 1/32 and 1/16: texts of
a collection about one subject 5.2, .95, .36 and .27; words by Zipf's law .44, .15, .16 and .18.)"""
_FORMAT = b"2"
"""The first byte of stored counts. Another one, or none, means that texts were cut into other words when they were
counted, so the words of today would look rare. Change it together with `words.py` and `features.py`."""
_MIN_FREQUENT = 16
_MAX_FREQUENT = 65_535  # their numbers have two bytes
_PRIOR_DOCUMENTS = 100.0
"""Added to the number of documents, as if half of them had contained each function word. Without this prior, `the` and
`of` would link the first articles of an empty store."""


class Frequencies:
    """In how many of `documents` documents each feature occurs."""

    __slots__ = ("counts", "documents")

    def __init__(self) -> None:
        self.documents = 0
        self.counts: NDArray[np.int32] = np.zeros(1 << FEATURE_BITS, np.int32)

    def add(self, features: Features) -> None:
        """Count the documents of `features` too."""
        self.documents += len(features)
        np.add.at(self.counts, features.buckets, 1)
        _, scripts = scripts_in(features)
        for script, documents in enumerate(np.bincount(scripts, minlength=SCRIPTS).tolist()):
            self.counts[script_range(script)[1]] += documents

    def merge(self, other: Frequencies) -> None:
        """Count the documents of `other` too."""
        self.documents += other.documents
        self.counts += other.counts

    def weights(self) -> NDArray[np.float32]:
        """Return the weight of each feature; 0 for words that are too common.

        The weight is the square root of ln((N + prior) / (documents with the feature + 1/2)). So a feature that two
        articles share counts its IDF once, as in BM25. A pair of words counts half of its IDF, because its words count
        too. (Measured against weights without the square root: MAP .58 instead of .56, and .42 instead of .41.)

        N is the number of documents that contain the feature's script: a minority's function words would never be
        common among all documents.
        """
        weights: NDArray[np.float32] = np.zeros(len(self.counts), np.float32)
        for script in range(SCRIPTS):
            first, last = script_range(script)
            documents = int(self.counts[last]) if script else self.documents
            counts = self.counts[first:last]
            total = documents + _PRIOR_DOCUMENTS
            idf = _idf_of_counts(total, int(counts.max(initial=0)))
            words, pairs = np.sqrt(idf), np.sqrt(idf / 2)
            if script < FIRST_UNSPACED:
                words[int(COMMON_SHARE * total) + 1 :] = 0
            weights[first:last:2] = words[counts[0::2]]
            weights[first + 1 : last : 2] = pairs[counts[1::2]]
            if script == 0:
                weights[FUNCTION_BUCKETS] = words[self.counts[FUNCTION_BUCKETS] + int(_PRIOR_DOCUMENTS / 2)]
        return weights

    def frequent(self) -> NDArray[np.int32]:
        """Return the buckets in more than `FREQUENT_SHARE` of the documents, ascending; at most `_MAX_FREQUENT`."""
        minimum = max(_MIN_FREQUENT, FREQUENT_SHARE * self.documents)
        buckets = np.union1d(np.flatnonzero(self.counts > minimum).astype(np.int32), FUNCTION_BUCKETS)
        return buckets[:_MAX_FREQUENT]

    def dump(self) -> bytes:
        """Return the counts as bytes: the buckets that occur (as differences) and their counts, zlib-compressed."""
        buckets = np.flatnonzero(self.counts).astype(np.uint32)
        distances = np.diff(buckets, prepend=np.uint32(0)).astype("<u4")
        return _FORMAT + zlib.compress(distances.tobytes() + self.counts[buckets].astype("<i4").tobytes(), 6)

    @staticmethod
    def is_current(data: bytes) -> bool:
        """Whether `dump` of this version wrote these bytes."""
        return data.startswith(_FORMAT)

    @classmethod
    def load(cls, documents: int, data: bytes) -> Frequencies:
        """Return the frequencies that `dump` wrote. Raises zlib.error or ValueError for other bytes."""
        if not cls.is_current(data):
            raise ValueError("the counts are of another version")
        new = cls()
        new.documents = documents
        numbers = np.frombuffer(zlib.decompress(data[len(_FORMAT) :]), "<u4")
        half = len(numbers) // 2
        new.counts[np.cumsum(numbers[:half])] = numbers[half:].astype(np.int32)
        return new


def _idf_of_counts(total: float, highest: int) -> NDArray[np.float64]:
    """Return the idf of a feature by the number of documents that contain it, of `total`.

    One value per number is computed, then looked up: logarithms of two million counts take 20 times as long.
    """
    seen = np.arange(highest + 1 + int(_PRIOR_DOCUMENTS), dtype=np.float64)
    idf: NDArray[np.float64] = np.log(total / (seen + 0.5)).clip(0)
    return idf
