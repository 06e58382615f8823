"""Stories from links, by the first-article rule. Pure.

In the order of (day, hash) each article joins the story to whose *first* article it is linked best, or begins one. So
every article of a story is like its first, and no chain of likenesses grows a giant (leader clustering, Hartigan 1975;
whole components would reach 2,291 articles where this reaches 18). What an article does depends on earlier articles
alone, so after a change only those later in the order, and linked, are decided anew: `arrange` gives what deciding all
articles from the beginning would give.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from worker.heat_rules import HeatRules

Order = tuple[int, bytes]
"""The day since 1970, and the hash of the article's identity."""


@dataclass(slots=True, frozen=True)
class Neighbour:
    """An article at the other end of a link. `first`: the first article of its story, itself when it is alone."""

    id: int
    score: float
    order: Order
    first: int


@dataclass(slots=True, frozen=True)
class Node:
    """An article with its links. `first` as it is stored now; None: it is new."""

    id: int
    order: Order
    first: int | None
    links: Collection[Neighbour] = ()


def arrange(touched: Iterable[int], look: Callable[[set[int]], Mapping[int, Node]]) -> dict[int, int]:
    """The first article of the story of each article in `touched`, and of those that change in consequence.

    `look(ids)` gives the nodes of articles; ids that it does not know are left out. An article that is its own first is
    alone or begins a story.
    """
    nodes = dict(look(set(touched)))
    waiting = [(node.order, id_) for id_, node in nodes.items()]
    heapq.heapify(waiting)
    first: dict[int, int] = {}
    while waiting:
        order, id_ = heapq.heappop(waiting)
        if id_ in first:
            continue
        if id_ not in nodes:
            nodes.update(look({other for _, other in waiting if other not in nodes} | {id_}))
        node = nodes[id_]
        best: tuple[float, Order, int] | None = None
        for other in node.links:
            if other.order < order and first.get(other.id, other.first) == other.id:
                # The best score; of several the earliest.
                candidate = (-other.score, other.order, other.id)
                best = candidate if best is None else min(best, candidate)
        first[id_] = best[2] if best else id_
        if (first[id_] == id_) != (node.first == id_):
            for other in node.links:
                if other.order > order:
                    heapq.heappush(waiting, (other.order, other.id))
    return first


def keep_ids(groups: Mapping[int, Collection[int]], old: Mapping[int, int]) -> tuple[dict[int, int], set[int]]:
    """Which story id each group goes on under.

    `groups`: first article → members; `old`: article → its story's id until now. A group takes the id that most of its
    members had, the larger share first; returns first article → id for those that have one, and the ids that ended.
    """
    overlaps = Counter((old[member], first) for first, members in groups.items() for member in members if member in old)
    stored: dict[int, int] = {}
    taken: set[int] = set()
    for (story, first), _ in sorted(overlaps.items(), key=lambda one: (-one[1], one[0])):
        if first not in stored and story not in taken:
            stored[first] = story
            taken.add(story)
    return stored, set(old.values()) - taken


def groups_of(firsts: Mapping[int, int]) -> dict[int, list[int]]:
    """First article → the ids of its story, for stories of two and more."""
    groups: dict[int, list[int]] = defaultdict(list)
    for id_ in sorted(firsts):
        groups[firsts[id_]].append(id_)
    return {first: members for first, members in groups.items() if len(members) > 1}


@dataclass(slots=True, frozen=True)
class Member:
    """What the choice of a lead looks at. `time` in seconds."""

    id: int
    quality: int | None
    time: float
    url_hash: bytes


def lead_of(members: Iterable[Member]) -> Member:
    """The article to show for a story: the best by quality, of several the earliest."""
    return min(members, key=lambda one: (-(one.quality or 0), one.time, one.url_hash))


def heat_of(members: Collection[Member], rules: HeatRules) -> int:
    """A story's heat: its lead's quality, and for a good lead a bonus for each other article that tells it.

    As for a single article (`worker.enrichment.heat`), with the articles that the linker found in place of those it lists;
    `rules` are those of the source that tells the lead.
    """
    quality = lead_of(members).quality or 0
    return quality + (rules.bonus * (len(members) - 1) if quality >= rules.floor else 0)
