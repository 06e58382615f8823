"""Decides whether two similar articles are linked and whether one is a copy, and names the words that they share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.linking.pairs.evidence import CANDIDATE_SCORE, CASELESS_SCORE, FOREIGN_SCORE, STRONG_SCORE, Evidence
from worker.linking.texts.conflicts import TitleNames, conflicts_of
from worker.linking.texts.features import (
    FUNCTION_WORDS,
    TITLE_WEIGHT,
    buckets_of,
    buckets_of_words,
    script_of_buckets,
    script_range,
)
from worker.linking.texts.genres import is_reference
from worker.linking.texts.words import SCRIPTS, Words, scripts_of, words_of

STORY_KINDS = frozenset({"article", "video", "news", "blog", "press", "podcast", "opinion", "review"})
"""The kinds of document that can be part of a story. Similar courses, people or tools are not one story."""

_FIRST_CASELESS = 3  # the groups of `words.SCRIPTS` from here on have no capital letters
_COPIED_SHARE = 0.8
_MIN_PAIRS = 10
_REASON_TERMS = 6
_MOST_UNSEEN = 0.5
"""If more of an article's words were never counted, it is in a language that is new to the store. Its function words
look rare then, so its links need the score of a copy. (Measured: in two collections, with 1,000 counted documents, only
one of 1,492 and one of 938 articles have more, in Turkish and in Russian.)"""


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
        return TitleNames(self.title, self.excerpt, self.words)

    @cached_property
    def is_reference(self) -> bool:
        """Whether the title announces a guide or a report on a market."""
        return is_reference(self.title)

    @cached_property
    def least_score(self) -> float:
        """The smallest score of a link, by the script of the title."""
        script = max(scripts_of(self.title_words.texts), default=0)
        if script >= _FIRST_CASELESS:
            return CASELESS_SCORE
        return FOREIGN_SCORE if script else CANDIDATE_SCORE

    @cached_property
    def terms(self) -> Counter[str]:
        """Each word, and each pair of words with a space between them, with its count (see `texts/features.py`)."""
        of_title, of_excerpt = ([*part.texts, *pairs_of(part)] for part in self.parts)
        return Counter([*of_title * TITLE_WEIGHT, *of_excerpt])

    def form(self, term: str) -> str:
        """Return a term of `terms` as the text has it first."""
        words = term.split(" ")
        for part in self.parts:
            place = -1
            for _ in range(part.texts.count(words[0])):
                place = part.texts.index(words[0], place + 1)
                if part.texts[place : place + len(words)] == words:
                    return " ".join(part.forms[place : place + len(words)])
        raise KeyError(term)

    @property
    def parts(self) -> tuple[Words, Words]:
        """The words of title and excerpt."""
        return self.title_words, self.excerpt_words


def pairs_of(part: Words) -> list[str]:
    """Return the pairs of neighbouring words of a part that are both written with spaces."""
    pairs = list(map(" ".join, pairwise(part.texts)))
    if 0 not in part.spaced:
        return pairs
    return [pair for pair, are_spaced in zip(pairs, pairwise(part.spaced), strict=True) if all(are_spaced)]


class Link(NamedTuple):
    """A decided link. `kind`: `similar` or `duplicate`. `one` and `other` are in the order of their titles."""

    kind: str
    one: Text
    other: Text
    evidence: Evidence


class PairLinks:
    """Decides which pairs of articles are linked, each pair once: both ends of a link must agree.

    `texts`: id → the compared fields. `weights`: the weight of each feature (the square root of its idf).
    """

    def __init__(self, texts: Mapping[int, Text], weights: NDArray[np.float32]) -> None:
        self._texts = texts
        self._weights = weights
        self._decided: dict[tuple[int, int], Link | None] = {}

    def decide(self, id_: int, other: int, score: float) -> Link | None:
        """Return the link of two articles; None if they are not linked."""
        pair = min(id_, other), max(id_, other)
        if pair not in self._decided:
            self._decided[pair] = self._decide(*pair, score)
        return self._decided[pair]

    def evidence(self, id_: int, other_id: int, score: float) -> Evidence:
        """Return what speaks for and against one event, without the conflicts of the titles."""
        one, other = self._texts[id_], self._texts[other_id]
        shared = math.fsum(map(self._idf.__getitem__, one.words & other.words))
        days = abs(one.time - other.time) / 86_400
        has_reference = one.is_reference or other.is_reference
        least_score = max(self._least_score(id_), self._least_score(other_id))
        return Evidence(score, shared, days, has_reference, least_score=least_score)

    def reasons(self) -> dict[tuple[int, int], str]:
        """Return (smaller id, larger id) → the reason of each link that was decided."""
        links = {pair: link for pair, link in self._decided.items() if link is not None}
        return dict(zip(links, reasons_of(list(links.values()), self._weights), strict=True))

    def _decide(self, id_: int, other_id: int, score: float) -> Link | None:
        one, other = self._texts.get(id_), self._texts.get(other_id)
        if one is None or other is None or not may_be_linked(one, other):
            return None
        evidence = self.evidence(id_, other_id, score)
        # Conflicts are only evidence against one event, so most candidates need no comparison of their titles.
        is_one_event = evidence.is_one_event
        if not is_one_event and score < STRONG_SCORE:
            return None
        is_duplicate = is_copy(one, other)
        if not is_one_event and not is_duplicate:
            return None
        # Ids depend on the order of arrival; conflicts and the reason must not.
        one, other = sorted((one, other), key=lambda text: (text.title or "", text.excerpt or ""))
        evidence.conflicts = conflicts_of(one.title_names, other.title_names)
        if evidence.conflicts and not (evidence.is_one_event or (is_duplicate and score >= STRONG_SCORE)):
            return None
        return Link("duplicate" if is_duplicate else "similar", one, other, evidence)

    def _least_score(self, id_: int) -> float:
        """Return the smallest score at which an article is linked."""
        text = self._texts[id_]
        if len(text.words & self._unseen) > _MOST_UNSEEN * len(text.words):
            return STRONG_SCORE
        return text.least_score

    @cached_property
    def _words(self) -> tuple[list[str], NDArray[np.int32]]:
        """The words of all articles, and the bucket of each."""
        words = list(set[str]().union(*(text.words for text in self._texts.values())))
        return words, buckets_of_words(words)

    @cached_property
    def _idf(self) -> dict[str, float]:
        """The idf of each word."""
        words, buckets = self._words
        roots = self._weights[buckets].astype(np.float64)
        return dict(zip(words, (roots * roots).tolist(), strict=True))

    @cached_property
    def _unseen(self) -> frozenset[str]:
        """The words that no counted document contains: they have the largest weight of their script."""
        largest = np.array([self._weights[slice(*script_range(script))].max() for script in range(SCRIPTS)])
        words, buckets = self._words
        is_unseen = self._weights[buckets] >= largest[script_of_buckets(buckets)]
        return frozenset(compress(words, is_unseen.tolist()))


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
    if not same_title and _containment(*titles) < 1 / 3:
        return False
    excerpts = one.excerpt_pairs, other.excerpt_pairs
    if min(map(len, excerpts)) < _MIN_PAIRS:
        return same_title and len(titles[0]) >= _MIN_PAIRS // 2
    return _containment(*excerpts) >= _COPIED_SHARE


def _containment(one: set[tuple[str, str]], other: set[tuple[str, str]]) -> float:
    shorter = min(len(one), len(other))
    return len(one & other) / shorter if shorter else 0.0


def reasons_of(links: Sequence[Link], weights: NDArray[np.float32]) -> list[str]:
    """Return the reason of each link: up to 6 words or pairs of words of both articles, by their part of the score.

    What speaks against one event follows as "against: …".
    """
    shared = [link.one.terms.keys() & link.other.terms.keys() for link in links]
    names = [name for name in set[str]().union(*shared) if FUNCTION_WORDS.isdisjoint(name.split(" "))]
    # One call for all links: its cost is nearly the same for one term and for a thousand.
    squares = weights[buckets_of(names)].astype(np.float64) ** 2
    square_of = {name: square for name, square in zip(names, squares.tolist(), strict=True) if square}
    return [_reason(link, terms, square_of) for link, terms in zip(links, shared, strict=True)]


def _reason(link: Link, shared: Iterable[str], square_of: Mapping[str, float]) -> str:
    """Return the reason of a link. `square_of`: the square of the weight of each term that a reason may name."""
    one, other = link.one.terms, link.other.terms
    ranked = sorted(
        [(-round(square_of[name] * one[name] * other[name], 6), name) for name in shared if name in square_of]
    )
    terms: list[str] = []
    in_pairs: set[str] = set()
    for _, name in ranked:
        words = name.split(" ")
        if len(words) > 1:
            terms = [term for term in terms if term not in words]
            in_pairs.update(words)
        elif name in in_pairs:
            continue
        terms.append(name)
        if len(terms) == _REASON_TERMS:
            break
    against = ", ".join(link.evidence.against)
    return ", ".join(map(link.one.form, terms)) + (f"; against: {against}" if against else "")
