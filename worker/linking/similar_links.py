"""Whether two articles that are alike tell the same story, whether one is a copy of the other, and which words say so."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from worker.linking.features import FUNCTION_WORDS, features_of, names_of, words

THRESHOLD = 0.40
"""The cosine from which two articles are linked: fixed for all collections, because tuned ones do not transfer."""

STORY_KINDS = frozenset({"article", "video", "news", "blog", "press", "podcast", "opinion", "review"})
"""The kinds of document that tell stories. Courses, people or tools that are alike are not one story."""

_COPIED_SHARE = 0.8
_LEAST_PAIRS = 10
_REASON_TERMS = 6


@dataclass(slots=True, frozen=True)
class Text:
    """What is compared of an article. `site`: the same for articles of one provider, None where it is not known."""

    title: str | None
    excerpt: str | None
    site: object


def may_be_tied(one: Text, other: Text) -> bool:
    """False for two articles of one site with differing titles.

    A site rarely tells a story twice; what is alike on one site is mostly a series (episodes, builds, market reports):
    of such pairs 4 % (diablo4) and 38 % (ai) are listed as related, of pairs of two sites 83 % and 58 %.
    """
    return one.site is None or one.site != other.site or words(one.title) == words(other.title)


def is_copy(one: Text, other: Text) -> bool:
    """Whether the shorter excerpt is, in its pairs of words, nearly all in the other, under a title that is much alike.

    Excerpts of one text are cut at different lengths, so the shorter one is what counts (containment, Broder 1997).
    """
    titles = _pairs(one.title), _pairs(other.title)
    same_title = bool(titles[0]) and words(one.title) == words(other.title)
    excerpts = _pairs(one.excerpt), _pairs(other.excerpt)
    if min(map(len, excerpts)) < _LEAST_PAIRS:
        return same_title and len(titles[0]) >= _LEAST_PAIRS // 2
    return _containment(*excerpts) >= _COPIED_SHARE and (same_title or _containment(*titles) >= 1 / 3)


def _pairs(text: str | None) -> set[tuple[str, str]]:
    return set(pairwise(words(text)))


def _containment(one: set[tuple[str, str]], other: set[tuple[str, str]]) -> float:
    shorter = min(len(one), len(other))
    return len(one & other) / shorter if shorter else 0.0


def reason_of(one: Text, other: Text, weights: NDArray[np.float32]) -> str:
    """The words that tied two articles, the weightiest first."""
    mine, theirs = features_of(one.title, one.excerpt), features_of(other.title, other.excerpt)
    names = names_of(one.title, one.excerpt)
    shared, at, other_at = np.intersect1d(mine.buckets, theirs.buckets, assume_unique=True, return_indices=True)
    parts = weights[shared].astype(np.float64) ** 2 * mine.counts[at] * theirs.counts[other_at]
    ranked = sorted(
        (-round(part, 6), names[bucket]) for bucket, part in zip(shared.tolist(), parts.tolist(), strict=True) if part
    )
    terms: list[str] = []
    for _, name in ranked:
        if (
            FUNCTION_WORDS.isdisjoint(name.split())
            and len(terms) < _REASON_TERMS
            and not any(f" {name} " in f" {term} " for term in terms)
        ):
            terms = [term for term in terms if f" {term} " not in f" {name} "] + [name]
    return ", ".join(terms)
