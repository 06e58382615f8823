"""Heat, lead and published: how much a story is talked about, and which of its articles stands for it.

The rules were recovered from the figures that four collections report, and are held against them by
`python -m tests.benchmarks.heat`:

- An article does not lead when one that it lists as related has a higher quality; at equal quality the earlier day of
  publication (UTC) leads, and on one day the file name that comes first (`2020-05-29-title-in-lower-case.md`), as the
  figures were computed from files in that order. The heat of one that does not lead is -1.
- What counts of a related article is what the entry says of it: in 11,400 versions of news, among them the whole history
  of one collection, that alone tells who leads without an exception, also where several documents share a URL. An
  article that has become better since counts as well: either is enough not to lead.
- The heat of a lead is its quality, and from a quality of `floor` on `bonus` more for each related article.
- It is published when its heat reaches `threshold`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from worker.heat_rules import HeatRules

_NOT_IN_NAMES = re.compile(r"[^0-9a-z\s-]+")
_GAPS = re.compile(r"[\s-]+")
NOT_LEAD = -1


@dataclass(slots=True)
class Peer:
    """An article as far as it decides who leads."""

    quality: int | None
    published_at: datetime | None
    title: str | None
    _rank: tuple[int, str, str] | None = field(default=None, init=False, compare=False, repr=False)

    def rank(self) -> tuple[int, str, str]:
        """Whatever comes first leads: quality falling, then day and file name rising; one without a day comes last."""
        if self._rank is None:
            day = self.published_at.astimezone(UTC).date().isoformat() if self.published_at else "9999"
            self._rank = -(self.quality or 0), day, _file_name(self.title or "")
        return self._rank


def _file_name(title: str) -> str:
    """`“Don't panic” - it's AI.` → `dont-panic-its-ai.md`: the extension decides between a title and a longer one."""
    return _GAPS.sub("-", _NOT_IN_NAMES.sub("", title.lower())).strip("-") + ".md"


class Heat(NamedTuple):
    """`lead`: the place among the related articles of the one that leads; None: none of them does."""

    heat: int
    is_published: bool
    lead: int | None


def lead_of(article: Peer, related: Iterable[Peer]) -> int | None:
    """The place among `related` of the one that leads; None: the article itself does, or has no quality."""
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
    article: Peer, related: Iterable[Peer], *, count: int, rules: HeatRules, outranked: bool = False
) -> Heat | None:
    """Judge an article by those it lists, as they are now, and by what it says of them: `outranked`, that one leads.
    `count` is how many it lists, repeats and itself among them, as the reported figures count. None: without a quality
    there is no heat.
    """
    if article.quality is None:
        return None
    lead = lead_of(article, related)
    heat = NOT_LEAD
    if lead is None and not outranked:
        heat = article.quality + (rules.bonus * count if article.quality >= rules.floor else 0)
    return Heat(heat, heat >= rules.threshold, lead)


__all__ = ["NOT_LEAD", "Heat", "Peer", "heat_of", "lead_of"]
