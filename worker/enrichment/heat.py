"""Compute heat, lead and published: how important a story is, and which of its articles represents it (the lead).

The rules were derived from the values that four collections report. `python -m tests.benchmarks.heat` compares them:

- An article does not lead if one of its related articles ranks before it. The higher quality ranks first, then the
  earlier day of publication (UTC), then the file name that sorts first (`2020-05-29-title-in-lower-case.md`), because
  the reported values were computed from files in that order. If these are equal too, the earlier time of day ranks
  first, then the smaller URL hash, so that exactly one of two articles leads. The heat of an article that does not lead
  is -1.
- The values in the entry of `related` decide, not those of the related article's own document. In 11,400 versions of
  news, which include the whole history of one collection, they alone predict the lead without exception, even when
  several documents share a URL. The current values of the related articles are compared too. If a related article ranks
  first by either, the article does not lead.
- The heat of a lead is its quality. If the quality is at least `floor`, `bonus` is added for each related article.
- An article is published if its heat is at least `threshold`.
- A document that reports its heat as `score` is of 2019, when no article yielded to another: in all 705 known documents
  `score` is the quality plus 5 for each related article. So it is `NEVER_OUTRANKED`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from schemas.problem import Problem, problem
from worker.heat_rules import HeatRules

_NOT_IN_NAMES = re.compile(r"[^0-9a-z\s-]+")
_GAPS = re.compile(r"[\s-]+")
NOT_LEAD = -1
NEVER_OUTRANKED = -2
"""The value of `outranked_by` of a document whose article leads whatever its related articles are."""
_NO_TIME = "9999"

Rank = tuple[int, str, str, str, bytes]


@dataclass(slots=True)
class Peer:
    """The values of an article that decide which one leads.

    `url_hash` is left empty for the values in a document, because an entry of `related` may name an alias.
    """

    quality: int | None
    published_at: datetime | None
    title: str | None
    url_hash: bytes = b""
    _rank: Rank | None = field(default=None, init=False, compare=False, repr=False)

    def rank(self) -> Rank:
        """Return the sort key; the lowest one leads: descending quality, then day, file name, time and URL hash.

        An article without a time comes last. The key is computed once.
        """
        if self._rank is None:
            time = self.published_at.astimezone(UTC).isoformat() if self.published_at else _NO_TIME
            self._rank = -(self.quality or 0), time[:10], _file_name(self.title or ""), time, self.url_hash
        return self._rank


@lru_cache(maxsize=2_048)  # the articles of a story name each other, so titles repeat within a batch
def _file_name(title: str) -> str:
    """Return the file name of a title: `“Don't panic” - it's AI.` → `dont-panic-its-ai.md`.

    The extension matters for the order of a title and a longer title that begins with it.
    """
    return _GAPS.sub("-", _NOT_IN_NAMES.sub("", title.lower())).strip("-") + ".md"


class Heat(NamedTuple):
    """The heat of an article. `lead`: the index of the related article that leads; None: no related article does."""

    heat: int
    is_published: bool
    lead: int | None


def lead_of(article: Peer, related: Iterable[Peer]) -> int | None:
    """Return the index in `related` of the article that leads. None: the article itself leads, or it has no quality."""
    if article.quality is None:
        return None
    first, lead = None, None
    for place, peer in enumerate(related):
        if peer.quality is None or peer.quality < article.quality:
            continue
        first = first or article.rank()
        rank = peer.rank()
        if rank < first:
            first, lead = rank, place
    return lead


def heat_of(
    article: Peer, related: Iterable[Peer], *, count: int, rules: HeatRules, outranked_by: int | None = None
) -> Heat | None:
    """Return the heat of an article, or None if it has no quality.

    `related`: its related articles with their current values. `count`: the number of its `related` entries; repeats and
    the article itself count, as in the reported values. `outranked_by`: see `EnrichedDocument.outranked_by`.
    """
    if article.quality is None:
        return None
    never = outranked_by == NEVER_OUTRANKED
    lead = None if never else lead_of(article, related)
    heat = NOT_LEAD
    if lead is None and (outranked_by is None or never):
        heat = article.quality + bonus_of(article.quality, count, rules)
    return Heat(heat, heat >= rules.threshold, lead)


class ArticleHeat(NamedTuple):
    """The heat of an article, as columns. `lead_id`: the article that leads, itself or a related one."""

    heat: int
    is_published: bool
    lead_id: int | None


def article_heat(
    article_id: int,
    related: Sequence[tuple[int, int]],
    peers: Mapping[int, Peer],
    *,
    count: int | None,
    outranked_by: int | None,
    rules: HeatRules,
) -> ArticleHeat | None:
    """Return the heat of an article; None: it has no quality, so its heat is as reported.

    `related`: (rank, article id) of each article that it lists, in order. `peers`: the values of these and its own.
    `count`: the entries of its document. `outranked_by`: the rank of the entry that leads by the values in the document.
    """
    heat = heat_of(
        peers[article_id],
        (peers[id_] for _, id_ in related),
        count=count if count is not None else len(related),
        rules=rules,
        outranked_by=outranked_by,
    )
    if heat is None:
        return None
    lead: int | None = article_id
    if heat.lead is not None:
        lead = related[heat.lead][1]
    elif outranked_by not in (None, NEVER_OUTRANKED):
        lead = next((id_ for rank, id_ in related if rank == outranked_by), None)
    return ArticleHeat(heat.heat, heat.is_published, lead)


def differing_heat(heat: ArticleHeat, reported: int | None, is_published: bool | None) -> Problem | None:
    """Return the warning that a document reports another heat than the rules give; None if it does not."""
    pairs = (("heat", reported, heat.heat), ("published", is_published, heat.is_published))
    differing = [(name, value, computed) for name, value, computed in pairs if value not in (None, computed)]
    if not differing:
        return None
    stated = ", ".join(f"{name} {str(value).lower()}" for name, value, _ in differing)
    computed = ", ".join(f"{name} {str(value).lower()}" for name, _, value in differing)
    message = f"Reported is {stated}; by the rules it is {computed}."
    return problem("heat_differs", message, field=differing[0][0], expected=computed)


def bonus_of(quality: int, count: int, rules: HeatRules) -> int:
    """Return what `count` related articles add to the heat of an article, or other articles to that of a story."""
    return rules.bonus * count if quality >= rules.floor else 0


def heat_terms(heat: int | None, quality: int | None, others: int, rules: HeatRules, *, each: str) -> str:
    """Return a sentence that says what the heat of a lead is made of: of an article, or of a story by its lead.

    `others`: the related articles, or the other articles of the story; `each`: the word for one of them.
    """
    if heat is None:
        return "None: the document states neither a quality nor a heat."
    if quality is None:
        return f"{heat}: as its document reports it, because the document states no quality."
    bonus = bonus_of(quality, others, rules)
    if heat != quality + bonus:
        return f"{heat}: computed by other rules or values than those of now, which give {quality + bonus}."
    counted = f"{others:,} {each}{'s' if others != 1 else ''}"
    if quality < rules.floor and others:
        return f"{heat} = quality {quality}; {counted} add{'' if others != 1 else 's'} nothing to a quality below {rules.floor}."
    return f"{heat} = quality {quality} + {counted} × {rules.bonus}."
