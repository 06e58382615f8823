"""Title and excerpt as features: words and pairs of words, hashed into buckets, so that memory holds no vocabulary.

The functions take many texts at once, so that numpy does the loops over their words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from worker.linking.texts.words import SCRIPTS, Words, scripts_of, words_of

FEATURE_BITS = 22
_LATIN_BITS = 21
_SCRIPT_BITS = 17
"""Features are hashed into buckets: Latin script into the first 2**21, each other group of scripts into 2**17 above
them. So the frequencies of one script do not depend on how many documents another has. 100,000 English articles have
about 1.2 million different features. Nearly all features that share a bucket are pairs of words that occur once.
(Measured: the quality is the same as without hashing.)"""

TITLE_WEIGHT = 3
"""How often a word of the title counts, because a title names the story. (Measured in two collections: weights 3 to 5
are within .006 MAP of each other; 2 is .013 and 1 is .07 behind.)"""

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

    `counts` is how often each feature occurs, at most 255; each occurrence in a title counts `TITLE_WEIGHT` times.
    `titles` has one number for each article, which is equal for titles of the same words (within one process).
    """

    __slots__ = ("buckets", "counts", "starts", "titles")

    def __init__(
        self,
        buckets: NDArray[np.int32],
        counts: NDArray[np.uint8],
        starts: NDArray[np.int64],
        titles: NDArray[np.int64],
    ) -> None:
        self.buckets = buckets
        self.counts = counts
        self.starts = starts
        self.titles = titles

    def __len__(self) -> int:
        return len(self.starts) - 1

    def rows(self) -> NDArray[np.int64]:
        """Return the index of the article to which each feature belongs."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def take(self, rows: NDArray[np.int64]) -> Features:
        """Return the features of the articles `rows`, in that order."""
        at, starts = gathered(self.starts, rows)
        return Features(self.buckets[at], self.counts[at], starts, self.titles[rows])


def gathered(starts: NDArray[np.integer], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions of the entries of `rows`, one row after the other, and where each row starts in the result.

    The entries of row i are at `starts[i]:starts[i + 1]`.
    """
    begins = starts[rows]
    sizes = starts[rows + 1] - begins
    ends = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    positions = np.repeat(begins - ends[:-1], sizes)
    positions += np.arange(ends[-1])
    return positions, ends


def features_of_all(texts: Iterable[tuple[str | None, str | None]]) -> Features:
    """Return the features of several articles, given as (title, excerpt): words and pairs of neighbouring words.

    Pairs of characters (see `words.py`) make no further pairs.
    """
    return features_of_parts([words_of(part) for text in texts for part in text])


def features_of_parts(parts: Sequence[Words]) -> Features:
    """Return the features of articles whose titles and excerpts were cut into words: title, excerpt, title, …"""
    texts = [part.texts for part in parts]
    sizes = np.fromiter(map(len, texts), np.int64, len(parts))
    singles, pairs, are_neighbours = _buckets(
        list(chain.from_iterable(texts)), np.frombuffer(b"".join([part.spaced for part in parts]), np.bool_)
    )
    part = np.repeat(np.arange(len(parts), dtype=np.uint64), sizes)
    neighbours = (part[1:] == part[:-1]) & are_neighbours
    keys = np.concatenate([singles, pairs[neighbours]])
    keys |= np.concatenate([part >> 1, part[1:][neighbours] >> 1]) << FEATURE_BITS
    # Sort by article and bucket. The lowest bit marks features of the title.
    keys = keys << 1 | (1 - (np.concatenate([part, part[1:][neighbours]]) & 1))
    keys.sort()
    of_title = np.where(keys & 1, TITLE_WEIGHT, 1)
    keys >>= 1
    first = np.flatnonzero(np.diff(keys, prepend=~keys[:1])) if len(keys) else np.zeros(0, np.int64)
    counts = np.add.reduceat(of_title, first) if len(first) else np.zeros(0, np.int64)
    starts = np.searchsorted(keys[first] >> FEATURE_BITS, np.arange(len(parts) // 2 + 1, dtype=np.uint64))
    buckets = (keys[first] & ((1 << FEATURE_BITS) - 1)).astype(np.int32)
    titles = np.fromiter(map(hash, map(tuple, texts[::2])), np.int64, len(parts) // 2)
    return Features(buckets, np.minimum(counts, 255).astype(np.uint8), starts.astype(np.int64), titles)


def _buckets(
    texts: Sequence[str], spaced: NDArray[np.bool_]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.bool_]]:
    """Return the buckets of words, those of each word and the next, and whether these two are both words with spaces."""
    # Encode all words in one call. No word holds a line break.
    encoded = "\n".join(texts).encode().split(b"\n") if texts else []
    numbers = np.fromiter(map(crc32, encoded), np.uint64, len(encoded))
    scripts = np.fromiter(scripts_of(texts), np.uint64, len(texts))
    pairs = ((numbers[:-1] * 0x9E3779B1 + numbers[1:] * 0x85EBCA6B) & 0xFFFFFFFF).astype(np.uint64, copy=False)
    return _hashed(numbers, scripts), _hashed(pairs, scripts[:-1]) | np.uint64(1), spaced[1:] & spaced[:-1]


def _hashed(numbers: NDArray[np.uint64], scripts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the even bucket of each checksum, in the part of its script. A pair of words has the odd one beside it."""
    latin = ((numbers ^ numbers >> _LATIN_BITS) & (1 << _LATIN_BITS - 1) - 1) << 1
    others = ((numbers ^ numbers >> _SCRIPT_BITS) & (1 << _SCRIPT_BITS - 1) - 1) << 1
    buckets = np.where(scripts == 0, latin, (scripts - 1 << _SCRIPT_BITS) + (1 << _LATIN_BITS) + others)
    return buckets.astype(np.uint64, copy=False)


def script_range(script: int) -> tuple[int, int]:
    """Return the first bucket of a group of scripts, and the last one, which counts the documents that contain it."""
    if script == 0:
        return 0, (1 << _LATIN_BITS) - 1
    first = (1 << _LATIN_BITS) + (script - 1 << _SCRIPT_BITS)
    return first, first + (1 << _SCRIPT_BITS) - 1


def script_of_buckets(buckets: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the group of scripts to which each bucket belongs."""
    others = (buckets.astype(np.int64) - (1 << _LATIN_BITS) >> _SCRIPT_BITS) + 1
    return others.clip(min=0)


def scripts_in(features: Features) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (index of the article, group of scripts) once for each group but Latin that an article contains."""
    other = np.flatnonzero(features.buckets >= 1 << _LATIN_BITS)
    if not len(other):
        return other, other
    scripts = script_of_buckets(features.buckets[other])
    return np.divmod(np.unique(features.rows()[other] * SCRIPTS + scripts), SCRIPTS)


def buckets_of_words(words: Sequence[str]) -> NDArray[np.int32]:
    """Return the bucket of each word."""
    return _buckets(words, np.ones(len(words), np.bool_))[0].astype(np.int32)


def buckets_of(terms: Sequence[str]) -> NDArray[np.int32]:
    """Return the bucket of each term: a word, or two words with a space between them."""
    words = [term.split(" ") for term in terms]
    # A pair of words has the bucket of its first word and the next. The last word needs a next one too.
    singles, pairs, _ = _buckets([*chain.from_iterable(words), ""], np.ones(sum(map(len, words)) + 1, np.bool_))
    sizes = np.fromiter(map(len, words), np.int64, len(words))
    first = np.cumsum(sizes) - sizes
    buckets: NDArray[np.uint64] = np.where(sizes == 2, pairs[first], singles[first])
    return buckets.astype(np.int32)


FUNCTION_BUCKETS: NDArray[np.int32] = np.unique(buckets_of(sorted(FUNCTION_WORDS)))
"""Buckets of English function words. Frequencies show which words are common; this list helps an empty store."""
