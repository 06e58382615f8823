"""Title and excerpt as features: words and pairs of words, hashed into buckets, so that memory holds no vocabulary.

The functions take many texts at once, so that numpy does the loops over their words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

FEATURE_BITS = 21
"""Features are hashed into 2**21 buckets. 100,000 articles have about 1.2 million different features. Nearly all
features that share a bucket are pairs of words that occur once. (Measured: the quality is the same as without
hashing.)"""

_HALF = (1 << FEATURE_BITS - 1) - 1
_WORD = re.compile(r"[^\W_]+")
_TITLE_WEIGHT = 3
"""How often a word of the title counts, because a title names the story. (Measured in two collections: weights 3 to 5
are within .006 MAP of each other; 2 is .013 and 1 is .07 behind.)"""
_MAX_WORDS = 200  # of the title and of the excerpt; more words add nothing, and a hostile excerpt could be long

FUNCTION_WORDS = frozenset(
    """
a about after all also an and any are as at be been before being but by can could did do does for from get go had has
have he her here him his how i if in into is it its just may me more most my new no not now of on one only or other our
out over re s said say says she should so some such t than that the their them then there these they this those through
to two under up us use was we were what when where which while who why will with would you your
""".split()  # noqa: SIM905  a text of words reads better than a list of them
)


class Features:
    """The features of several articles. Those of article i are at `starts[i]:starts[i + 1]`, by ascending bucket.

    `counts` is how often each feature occurs, at most 255; each occurrence in a title counts `_TITLE_WEIGHT` times.
    """

    __slots__ = ("buckets", "counts", "starts")

    def __init__(self, buckets: NDArray[np.int32], counts: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        self.buckets = buckets
        self.counts = counts
        self.starts = starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def rows(self) -> NDArray[np.int64]:
        """Return the index of the article to which each feature belongs."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def take(self, rows: NDArray[np.int64]) -> Features:
        """Return the features of the articles `rows`, in that order."""
        at, starts = gathered(self.starts, rows)
        return Features(self.buckets[at], self.counts[at], starts)


def gathered(starts: NDArray[np.integer], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions of the entries of `rows`, one row after the other, and where each row starts in the result.

    The entries of row i are at `starts[i]:starts[i + 1]`.
    """
    begins = starts[rows]
    sizes = starts[rows + 1] - begins
    ends = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    return np.arange(ends[-1]) + np.repeat(begins - ends[:-1], sizes), ends


def words(text: str | None) -> list[str]:
    """Return the first 200 words of a text, case-folded."""
    return _WORD.findall(text[: _MAX_WORDS * 40].casefold())[:_MAX_WORDS] if text else []


def features_of(title: str | None, excerpt: str | None) -> Features:
    """Return the features of one article."""
    return features_of_all([(title, excerpt)])


def features_of_all(texts: Iterable[tuple[str | None, str | None]]) -> Features:
    """Return the features of several articles, given as (title, excerpt): words and pairs of neighbouring words."""
    parts = [words(part) for text in texts for part in text]
    sizes = np.fromiter(map(len, parts), np.int64, len(parts))
    # Encode all words in one call. No word holds a line break.
    encoded = "\n".join(chain.from_iterable(parts)).encode().split(b"\n") if sizes.any() else []
    numbers = np.fromiter(map(crc32, encoded), np.uint64, len(encoded))
    part = np.repeat(np.arange(len(parts), dtype=np.uint64), sizes)
    neighbours = part[1:] == part[:-1]
    keys = np.concatenate([word_bucket(numbers), pair_bucket(numbers[:-1], numbers[1:])[neighbours]])
    keys |= np.concatenate([part >> 1, part[1:][neighbours] >> 1]) << FEATURE_BITS
    # Sort by article and bucket. The lowest bit marks features of the title.
    keys = keys << 1 | (1 - (np.concatenate([part, part[1:][neighbours]]) & 1))
    keys.sort()
    of_title = np.where(keys & 1, _TITLE_WEIGHT, 1)
    keys >>= 1
    first = np.flatnonzero(np.diff(keys, prepend=~keys[:1])) if len(keys) else np.zeros(0, np.int64)
    counts = np.add.reduceat(of_title, first) if len(first) else np.zeros(0, np.int64)
    starts = np.searchsorted(keys[first] >> FEATURE_BITS, np.arange(len(parts) // 2 + 1, dtype=np.uint64))
    buckets = (keys[first] & ((1 << FEATURE_BITS) - 1)).astype(np.int32)
    return Features(buckets, np.minimum(counts, 255).astype(np.uint8), starts.astype(np.int64))


def word_bucket(number: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the buckets of words with the checksums `number`. They are even."""
    return (((number ^ number >> FEATURE_BITS) & _HALF) << 1).astype(np.uint64, copy=False)


def pair_bucket(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the buckets of pairs of neighbouring words with these checksums. They are odd."""
    number = (first * 0x9E3779B1 + second * 0x85EBCA6B) & 0xFFFFFFFF
    return (((number ^ number >> FEATURE_BITS) & _HALF) << 1 | 1).astype(np.uint64, copy=False)


def names_of(title: str | None, excerpt: str | None) -> dict[int, str]:
    """Return bucket → its word or pair of words in this article, to show why two articles are linked."""
    names: dict[int, str] = {}
    for text in (title, excerpt):
        text_words = words(text)
        numbers = _checksums(text_words)
        singles, pairs = word_bucket(numbers).tolist(), pair_bucket(numbers[:-1], numbers[1:]).tolist()
        for bucket, name in (
            *zip(singles, text_words, strict=True),
            *zip(pairs, map(" ".join, pairwise(text_words)), strict=True),
        ):
            names.setdefault(bucket, name)
    return names


def _checksums(texts: Sequence[str]) -> NDArray[np.uint64]:
    return np.fromiter((crc32(word.encode()) for word in texts), np.uint64, len(texts))


FUNCTION_BUCKETS: NDArray[np.int32] = np.unique(word_bucket(_checksums(sorted(FUNCTION_WORDS))).astype(np.int32))
"""Buckets of English function words. Frequencies show which words are common; this list helps an empty store."""
