"""Title and excerpt as weighted features: words and pairs of words, hashed, so that no vocabulary is held in memory.

Many texts are taken at once: the loops over their words are numpy's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

FEATURE_BITS = 21
"""Features are hashed into 2**21 buckets. 100,000 articles have some 1.2 million different features; those that share a
bucket are nearly all pairs of words that occur once (measured: the same quality as without hashing)."""

_HALF = (1 << FEATURE_BITS - 1) - 1
_WORD = re.compile(r"[^\W_]+")
_TITLE_WEIGHT = 3
"""A title is written to name the story. (Of the weights 1 to 5, 3 to 5 rank within .006 MAP of each other in both collections
that were looked at, 2 is .013 and 1 is .07 behind.)"""
_MOST_WORDS = 200  # of title and of excerpt each; more says nothing new, and a hostile excerpt could be long

FUNCTION_WORDS = frozenset(
    """
a about after all also an and any are as at be been before being but by can could did do does for from get go had has
have he her here him his how i if in into is it its just may me more most my new no not now of on one only or other our
out over re s said say says she should so some such t than that the their them then there these they this those through
to two under up us use was we were what when where which while who why will with would you your
""".split()  # noqa: SIM905  a text of words reads better than a list of them
)


class Features:
    """Features of articles, one after the other: those of the i-th are at `starts[i]:starts[i + 1]`, buckets ascending, and
    `counts` says how often each occurs (the title's words each time as `_TITLE_WEIGHT`; 255 at most).
    """

    __slots__ = ("buckets", "counts", "starts")

    def __init__(self, buckets: NDArray[np.int32], counts: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        self.buckets = buckets
        self.counts = counts
        self.starts = starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def rows(self) -> NDArray[np.int64]:
        """Of which article each feature is."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def take(self, rows: NDArray[np.int64]) -> Features:
        """Some of the articles, in the given order."""
        at, starts = gathered(self.starts, rows)
        return Features(self.buckets[at], self.counts[at], starts)


def gathered(starts: NDArray[Any], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the entries of some rows are, one row after the other, and where each row starts among them."""
    begins = starts[rows]
    sizes = starts[rows + 1] - begins
    ends = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    return np.arange(ends[-1]) + np.repeat(begins - ends[:-1], sizes), ends


def words(text: str | None) -> list[str]:
    """The words of a text, case-folded."""
    return _WORD.findall(text[: _MOST_WORDS * 40].casefold())[:_MOST_WORDS] if text else []


def features_of(title: str | None, excerpt: str | None) -> Features:
    """The features of one article."""
    return features_of_all([(title, excerpt)])


def features_of_all(texts: Iterable[tuple[str | None, str | None]]) -> Features:
    """Words and pairs of neighbouring words of each title (counted `_TITLE_WEIGHT` times) and each excerpt."""
    parts = [words(part) for text in texts for part in text]
    sizes = np.fromiter(map(len, parts), np.int64, len(parts))
    # One encoding for all words: none holds a line break.
    encoded = "\n".join(chain.from_iterable(parts)).encode().split(b"\n") if sizes.any() else []
    numbers = np.fromiter(map(crc32, encoded), np.uint64, len(encoded))
    part = np.repeat(np.arange(len(parts), dtype=np.uint64), sizes)
    neighbours = part[1:] == part[:-1]
    keys = np.concatenate([word_bucket(numbers), pair_bucket(numbers[:-1], numbers[1:])[neighbours]])
    keys |= np.concatenate([part >> 1, part[1:][neighbours] >> 1]) << FEATURE_BITS
    # Sorted by article and bucket; the lowest bit tells what is of the title.
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
    """The buckets of words with the checksums `number`: even ones."""
    return (((number ^ number >> FEATURE_BITS) & _HALF) << 1).astype(np.uint64, copy=False)


def pair_bucket(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The buckets of two neighbouring words: odd ones."""
    number = (first * 0x9E3779B1 + second * 0x85EBCA6B) & 0xFFFFFFFF
    return (((number ^ number >> FEATURE_BITS) & _HALF) << 1 | 1).astype(np.uint64, copy=False)


def names_of(title: str | None, excerpt: str | None) -> dict[int, str]:
    """Bucket → the words that are in it, to say in words why two articles are tied."""
    names: dict[int, str] = {}
    for text in (title, excerpt):
        found = words(text)
        numbers = _checksums(found)
        singles, pairs = word_bucket(numbers).tolist(), pair_bucket(numbers[:-1], numbers[1:]).tolist()
        for bucket, name in (
            *zip(singles, found, strict=True),
            *zip(pairs, map(" ".join, pairwise(found)), strict=True),
        ):
            names.setdefault(bucket, name)
    return names


def _checksums(found: Sequence[str]) -> NDArray[np.uint64]:
    return np.fromiter((crc32(word.encode()) for word in found), np.uint64, len(found))


FUNCTION_BUCKETS: NDArray[np.int32] = np.unique(word_bucket(_checksums(sorted(FUNCTION_WORDS))).astype(np.int32))
"""English words that tell nothing. What is common in the documents themselves is learned; these help an empty store."""
