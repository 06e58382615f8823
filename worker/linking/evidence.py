"""A second look at two similar articles: what speaks for one event, and what speaks against it.

The cosine of two texts finds candidates. It cannot tell two reports of one event from two reports that follow one
pattern ("Italy reports 627 new cases", "Spain reports 832 new cases"), whose cosine is even higher. The names and
numbers that both articles contain can, with those that stand in the same place of the two titles, and the days between
the two articles.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from worker.linking.texts.features import buckets_of
from worker.linking.texts.words import script_of, words

CANDIDATE_SCORE = 0.20
"""The smallest score (cosine) at which two articles are compared."""
STRONG_SCORE = 0.40
CASELESS_SCORE = 0.32
"""Where a script has no capital letters, names cannot be told from other words, and this score must do."""

_INTERCEPT = 0.88
_SHARED, _UNSHARED, _CONFLICT, _DAY = 1.61, -0.54, -1.70, -0.31
"""Weights of a logistic regression (`python -m tests.benchmarks.evidence`) over 300 pairs of two collections and 80 of
our own, judged by reading them. Names count in units of 10 nats of idf."""
_PROBABLE, _CERTAIN = 0.6, 0.82

_UNIT = 10.0
_MAX_UNITS = 3.0
_MAX_CONFLICTS = 3
_MAX_PLACE_WORDS = 3  # a longer difference of two titles is another wording, not another name in the same place
_CACHED = 32_768  # names; articles of one time name the same people and places
_TOKEN = re.compile(r"\w(?:[\w.'’-]*\w)?")
_POSSESSIVES = ("'s", "'S", "’s", "’S")
_SENTENCE = re.compile(r"(?<=[.!?:])\s+")
_FIRST_CASELESS = 3  # the groups of `words.SCRIPTS` from here on have no capital letters


@dataclass(slots=True)
class Names:
    """The names and numbers of a title and an excerpt, as words, and all words of both.

    A name is a word with a capital letter that does not begin a sentence. In German these are all nouns, which is as
    good: what matters is what stands in both.
    """

    title: list[str]
    names: set[str]
    words: set[str]
    is_caseless: bool

    @classmethod
    def of(cls, title: str | None, excerpt: str | None) -> Names:
        """Return the names of one article."""
        return cls.of_words(title, excerpt, words(title), words(excerpt))

    @classmethod
    def of_words(
        cls, title: str | None, excerpt: str | None, title_words: Sequence[str], excerpt_words: Sequence[str]
    ) -> Names:
        """Return the names of one article whose texts were already cut into words."""
        names: set[str] = set()
        for text in (title, excerpt):
            for sentence in _SENTENCE.split(text or ""):
                for place, token in enumerate(_tokens(sentence)):
                    if token[0].isdigit() or (place and token[0].isupper()):
                        names.update(_words_of(token))
        caseless = any(script_of(word) >= _FIRST_CASELESS for word in title_words)
        return cls(_tokens(title or ""), names, {*title_words, *excerpt_words}, caseless)


@dataclass(slots=True)
class Evidence:
    """What speaks for and against one event. `days` lie between the two articles.

    `shared` and `unshared`: the names of either that the other contains, and those of the article with fewer of them
    that the other does not, by their idf (natural logarithm). `conflicts`: what stands in the same place of the titles,
    unless both articles contain both: "Google" and "Alphabet" are two names of one company to both.
    """

    days: float
    shared: dict[str, float] = field(default_factory=dict)
    unshared: dict[str, float] = field(default_factory=dict)
    conflicts: list[tuple[str, str]] = field(default_factory=list)
    is_caseless: bool = False

    @property
    def probability(self) -> float:
        """The probability, from 0 to 1, that both articles report one event."""
        return 1 / (1 + math.exp(-(
            _INTERCEPT
            + _SHARED * _units(self.shared)
            + _UNSHARED * _units(self.unshared)
            + _CONFLICT * min(len(self.conflicts), _MAX_CONFLICTS)
            + _DAY * self.days
        )))  # fmt: skip

    def is_one_event(self, score: float) -> bool:
        """Whether two articles with this score are linked: the less similar they are, the surer it must be."""
        return self.probability >= self.least_probability(score)

    def least_probability(self, score: float) -> float:
        """Return the probability from which on two articles with this score are linked; above 1: never."""
        if score >= (CASELESS_SCORE if self.is_caseless else STRONG_SCORE):
            return _PROBABLE
        return _CERTAIN if score >= CANDIDATE_SCORE and not self.is_caseless else math.inf


def compare(one: Names, other: Names, *, days: float, weights: NDArray[np.float32]) -> Evidence:
    """Compare two articles. `weights`: the weight of each feature (the square root of its idf)."""
    evidence = compare_names(one, other, days=days, weights=weights)
    evidence.conflicts = conflicts_of(one, other)
    return evidence


def compare_names(one: Names, other: Names, *, days: float, weights: NDArray[np.float32]) -> Evidence:
    """Compare two articles without the conflicts of their titles, which are only evidence against one event.

    So a pair that is no event by this comparison is none by `compare`, which takes twice as long.
    """
    shared = (one.names & other.words) | (other.names & one.words)
    unshared = [one.names - other.words, other.names - one.words]
    inverse = _idf({*shared, *unshared[0], *unshared[1]}, weights)
    lesser = min(unshared, key=lambda names: (sum(sorted(inverse[name] for name in names)), sorted(names)))
    return Evidence(
        days,
        {name: inverse[name] for name in shared},
        {name: inverse[name] for name in lesser},
        is_caseless=one.is_caseless or other.is_caseless,
    )


def conflicts_of(one: Names, other: Names) -> list[tuple[str, str]]:
    """Return `conflicts` of the titles without those names that both articles contain."""
    return [
        (mine, theirs)
        for mine, theirs in conflicts(one.title, other.title)
        if not _named_in(mine) | _named_in(theirs) <= one.words & other.words
    ]


def conflicts(one: list[str], other: list[str]) -> list[tuple[str, str]]:
    """Return the numbers or names that stand in the same place of two titles and differ."""
    matcher = SequenceMatcher(
        None, [word.casefold() for word in one], [word.casefold() for word in other], autojunk=False
    )
    found = []
    for change, begin, end, other_begin, other_end in matcher.get_opcodes():
        mine, theirs = one[begin:end], other[other_begin:other_end]
        if (
            change == "replace"
            and max(len(mine), len(theirs)) <= _MAX_PLACE_WORDS
            and _classes(mine) & _classes(theirs)
        ):
            found.append((" ".join(mine), " ".join(theirs)))
    return found


def _tokens(text: str) -> list[str]:
    """Return the words of a text as they are written, without quotation marks and possessive endings."""
    return [token[:-2] if token.endswith(_POSSESSIVES) else token for token in _TOKEN.findall(text)]


def _classes(tokens: list[str]) -> set[str]:
    return {"number" if token[0].isdigit() else "name" for token in tokens if _is_name(token)}


def _named_in(place: str) -> set[str]:
    return {word for token in place.split() if _is_name(token) for word in words(token)}


def _is_name(token: str) -> bool:
    return token[0].isdigit() or token[0].isupper()


def _units(names: dict[str, float]) -> float:
    return min(sum(sorted(names.values())) / _UNIT, _MAX_UNITS)


def _idf(names: set[str], weights: NDArray[np.float32]) -> dict[str, float]:
    roots = {name: float(weights[_bucket_of(name)]) for name in sorted(names)}
    return {name: root * root for name, root in roots.items()}


@lru_cache(_CACHED)
def _words_of(token: str) -> tuple[str, ...]:
    return tuple(words(token))


@lru_cache(_CACHED)
def _bucket_of(word: str) -> int:
    return int(buckets_of([word])[0])
