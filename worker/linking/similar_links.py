"""Decides whether two similar articles are linked and whether one is a copy, and names the words that they share."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from worker.linking.evidence import CANDIDATE_SCORE, CASELESS_SCORE, FOREIGN_SCORE, STRONG_SCORE, Evidence
from worker.linking.texts.conflicts import TitleNames, conflicts_of
from worker.linking.texts.features import FUNCTION_WORDS, TITLE_WEIGHT, buckets_of
from worker.linking.texts.genres import is_reference
from worker.linking.texts.words import Words, script_of, words_of

STORY_KINDS = frozenset({"article", "video", "news", "blog", "press", "podcast", "opinion", "review"})
"""The kinds of document that can be part of a story. Similar courses, people or tools are not one story."""

_FIRST_CASELESS = 3  # the groups of `words.SCRIPTS` from here on have no capital letters
_COPIED_SHARE = 0.8
_MIN_PAIRS = 10
_REASON_TERMS = 6


@dataclass(frozen=True)
class Text:
    """The compared fields of an article. `site` is equal for articles of one provider, and None if it is not known.

    `time`: of publication, in seconds since 1970. What follows from the fields is computed once, when it is needed.
    """

    title: str | None
    excerpt: str | None
    site: object
    time: float = 0.0

    @cached_property
    def title_words(self) -> Words:
        """The words of the title."""
        return words_of(self.title)

    @cached_property
    def excerpt_words(self) -> Words:
        """The words of the excerpt."""
        return words_of(self.excerpt)

    @cached_property
    def title_pairs(self) -> set[tuple[str, str]]:
        """The pairs of neighbouring words of the title."""
        return set(pairwise(self.title_words.texts))

    @cached_property
    def excerpt_pairs(self) -> set[tuple[str, str]]:
        """The pairs of neighbouring words of the excerpt."""
        return set(pairwise(self.excerpt_words.texts))

    @cached_property
    def words(self) -> frozenset[str]:
        """All words."""
        return frozenset(self.title_words.texts).union(self.excerpt_words.texts)

    @cached_property
    def title_names(self) -> TitleNames:
        """The names and numbers of the title."""
        return TitleNames.of_words(self.title, self.excerpt, self.title_words.texts, self.excerpt_words.texts)

    @cached_property
    def is_reference(self) -> bool:
        """Whether the title announces a guide or a report on a market."""
        return is_reference(self.title)

    @cached_property
    def least_score(self) -> float:
        """The smallest score of a link, by the script of the title."""
        script = max(map(script_of, self.title_words.texts), default=0)
        if script >= _FIRST_CASELESS:
            return CASELESS_SCORE
        return FOREIGN_SCORE if script else CANDIDATE_SCORE

    @cached_property
    def terms(self) -> dict[str, int]:
        """Each word, and each pair of words with a space between them, with its count (see `texts/features.py`)."""
        counts: dict[str, int] = defaultdict(int)
        for part, weight in ((self.title_words, TITLE_WEIGHT), (self.excerpt_words, 1)):
            for word in part.texts:
                counts[word] += weight
            for place in _pairs(part):
                counts[f"{part.texts[place]} {part.texts[place + 1]}"] += weight
        return counts

    @cached_property
    def forms(self) -> dict[str, str]:
        """Each term as the text has it first."""
        forms: dict[str, str] = {}
        for part in (self.title_words, self.excerpt_words):
            for word, form in zip(part.texts, part.forms, strict=True):
                forms.setdefault(word, form)
            for place in _pairs(part):
                term = f"{part.texts[place]} {part.texts[place + 1]}"
                forms.setdefault(term, f"{part.forms[place]} {part.forms[place + 1]}")
        return forms


def _pairs(part: Words) -> list[int]:
    """Return the places of the words that make a pair with the next one: both are written with spaces."""
    return [place for place, spaced in enumerate(pairwise(part.spaced)) if all(spaced)]


class PairLinks:
    """Decides which pairs of articles are linked, each pair once: both ends of a link must agree.

    `texts`: id → the compared fields. `weights`: the weight of each feature (the square root of its idf).
    """

    def __init__(self, texts: Mapping[int, Text], weights: NDArray[np.float32]) -> None:
        self._texts = texts
        self._weights = weights
        self._decided: dict[tuple[int, int], tuple[str, str] | None] = {}

    def decide(self, id_: int, other: int, score: float) -> tuple[str, str] | None:
        """Return the kind (`similar`, `duplicate`) and the reason of a link; None if the two are not linked."""
        pair = min(id_, other), max(id_, other)
        if pair not in self._decided:
            self._decided[pair] = self._decide(*pair, score)
        return self._decided[pair]

    def evidence(self, id_: int, other_id: int, score: float) -> Evidence:
        """Return what speaks for and against one event, without the conflicts of the titles."""
        one, other = self._texts[id_], self._texts[other_id]
        shared = math.fsum(self._idf[word] for word in one.words & other.words)
        days = abs(one.time - other.time) / 86_400
        has_reference = one.is_reference or other.is_reference
        least_score = max(one.least_score, other.least_score)
        return Evidence(score, shared, days, has_reference, least_score=least_score)

    def _decide(self, id_: int, other_id: int, score: float) -> tuple[str, str] | None:
        one, other = self._texts.get(id_), self._texts.get(other_id)
        if one is None or other is None or not may_be_linked(one, other):
            return None
        evidence = self.evidence(id_, other_id, score)
        # Conflicts are only evidence against one event, so most candidates need no comparison of their titles.
        if not evidence.is_one_event and score < STRONG_SCORE:
            return None
        is_duplicate = is_copy(one, other)
        if not evidence.is_one_event and not is_duplicate:
            return None
        # Ids depend on the order of arrival; conflicts and the reason must not.
        one, other = sorted((one, other), key=lambda text: (text.title or "", text.excerpt or ""))
        evidence.conflicts = conflicts_of(one.title_names, other.title_names)
        if not (evidence.is_one_event or (is_duplicate and score >= STRONG_SCORE)):
            return None
        return "duplicate" if is_duplicate else "similar", reason_of(one, other, self._weights, evidence)

    @cached_property
    def _idf(self) -> dict[str, float]:
        """The idf of each word of all articles."""
        words = sorted(set[str]().union(*(text.words for text in self._texts.values())))
        roots = self._weights[buckets_of(words)].astype(np.float64)
        return dict(zip(words, (roots * roots).tolist(), strict=True))


def may_be_linked(one: Text, other: Text) -> bool:
    """Whether two similar articles may be linked; False for two articles of one site with different titles.

    A site rarely publishes a story twice. Similar articles of one site are mostly a series (episodes, builds, market
    reports). Documents list 4 % (diablo4) and 38 % (ai) of such pairs as related, and 83 % and 58 % of pairs of two
    sites.
    """
    return one.site is None or one.site != other.site or one.title_words.texts == other.title_words.texts


def is_copy(one: Text, other: Text) -> bool:
    """Whether one article is a copy: the other has 80 % of the shorter excerpt's pairs of words, and the titles agree.

    Titles agree if they are equal or share a third of the pairs of words of the shorter one. Sites cut the excerpt of
    one text at different lengths, so the share is taken of the shorter one (containment, Broder 1997). If an excerpt
    has fewer than 10 pairs, an equal title with at least 5 pairs decides.
    """
    titles = one.title_pairs, other.title_pairs
    same_title = bool(titles[0]) and one.title_words.texts == other.title_words.texts
    excerpts = one.excerpt_pairs, other.excerpt_pairs
    if min(map(len, excerpts)) < _MIN_PAIRS:
        return same_title and len(titles[0]) >= _MIN_PAIRS // 2
    return _containment(*excerpts) >= _COPIED_SHARE and (same_title or _containment(*titles) >= 1 / 3)


def _containment(one: set[tuple[str, str]], other: set[tuple[str, str]]) -> float:
    shorter = min(len(one), len(other))
    return len(one & other) / shorter if shorter else 0.0


def reason_of(one: Text, other: Text, weights: NDArray[np.float32], evidence: Evidence | None = None) -> str:
    """Return up to 6 words or pairs of words that two articles share, by descending part of the score.

    With `evidence`, what speaks against one event follows as "against: …".
    """
    shared = sorted(one.terms.keys() & other.terms.keys())
    squares = weights[buckets_of(shared)].astype(np.float64) ** 2
    ranked = sorted(
        (-round(square * one.terms[name] * other.terms[name], 6), name)
        for name, square in zip(shared, squares.tolist(), strict=True)
        if square
    )
    terms: list[str] = []
    for _, name in ranked:
        if FUNCTION_WORDS.isdisjoint(name.split()) and not any(f" {name} " in f" {term} " for term in terms):
            terms = [term for term in terms if f" {term} " not in f" {name} "] + [name]
            if len(terms) == _REASON_TERMS:
                break
    against = ", ".join(evidence.against if evidence else ())
    forms = [one.forms[term] for term in terms]
    return ", ".join(forms) + (f"; against: {against}" if against else "")
