"""Title and excerpt as weighted features: words and pairs of words, hashed, so that no vocabulary is held in memory."""

from __future__ import annotations

import re
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

FEATURE_BITS = 21
"""Features are hashed into 2**21 buckets. 100,000 articles have some 1.2 million different features; those that share a
bucket are nearly all pairs of words that occur once (measured: the same quality as without hashing)."""

_HALF = (1 << FEATURE_BITS - 1) - 1
_WORD = re.compile(r"[^\W_]+")
_TITLE_WEIGHT = 2
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
    """Bucket numbers, ascending, and how often each occurs (the title's twice)."""

    __slots__ = ("buckets", "counts")

    def __init__(self, counted: dict[int, int]) -> None:
        buckets = sorted(counted)
        self.buckets: NDArray[np.int32] = np.array(buckets, np.int32)
        self.counts: NDArray[np.uint8] = np.array([min(counted[one], 255) for one in buckets], np.uint8)

    def __len__(self) -> int:
        return len(self.buckets)


def words(text: str | None) -> list[str]:
    """The words of a text, case-folded."""
    return _WORD.findall(text[: _MOST_WORDS * 40].casefold())[:_MOST_WORDS] if text else []


def features_of(title: str | None, excerpt: str | None) -> Features:
    """Words and pairs of neighbouring words of the title (counted twice) and of the excerpt."""
    counted: dict[int, int] = {}
    get = counted.get
    for text, weight in ((title, _TITLE_WEIGHT), (excerpt, 1)):
        before = 0
        for word in words(text):
            number = crc32(word.encode())
            bucket = word_bucket(number)
            counted[bucket] = get(bucket, 0) + weight
            if before:
                bucket = pair_bucket(before, number)
                counted[bucket] = get(bucket, 0) + weight
            before = number
    return Features(counted)


def word_bucket(number: int) -> int:
    """The bucket of a word with the checksum `number`: an even one."""
    return ((number ^ number >> FEATURE_BITS) & _HALF) << 1


def pair_bucket(first: int, second: int) -> int:
    """The bucket of two neighbouring words: an odd one."""
    number = (first * 0x9E3779B1 + second * 0x85EBCA6B) & 0xFFFFFFFF
    return ((number ^ number >> FEATURE_BITS) & _HALF) << 1 | 1


def names_of(title: str | None, excerpt: str | None) -> dict[int, str]:
    """Bucket → the words that are in it, to say in words why two articles are tied."""
    names: dict[int, str] = {}
    for text in (title, excerpt):
        before, number_before = "", 0
        for word in words(text):
            number = crc32(word.encode())
            names.setdefault(word_bucket(number), word)
            if before:
                names.setdefault(pair_bucket(number_before, number), f"{before} {word}")
            before, number_before = word, number
    return names


FUNCTION_BUCKETS: NDArray[np.int32] = np.array(
    sorted({word_bucket(crc32(word.encode())) for word in FUNCTION_WORDS}), np.int32
)
"""English words that tell nothing. What is common in the documents themselves is learned; these help an empty store."""
