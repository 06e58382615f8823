"""Assigns articles to stories by their links, with the first-article rule. No I/O.

Articles are taken in the order of (day, hash). Each one joins the story whose *first* article it has the best link to,
or begins a new story. So every article of a story is similar to the first one, and chains of links do not build huge
stories (leader clustering, Hartigan 1975; connected components reach 2,291 articles where this reaches 18). A decision
depends only on earlier articles. So after a change only linked articles later in the order are decided again, and the
result of `assign_stories` equals that of deciding all articles from the beginning.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from worker.enrichment.heat import bonus_of
from worker.heat_rules import HeatRules

Order = tuple[int, bytes]
"""The article's day, as days since 1970, and the hash of its identity."""


@dataclass(slots=True, frozen=True)
class Neighbour:
    """An article at the other end of a link. `first` is the first article of its story; its own id if it is in none."""

    id: int
    score: float
    order: Order
    first: int


@dataclass(slots=True, frozen=True)
class Node:
    """An article with its links. `first` is the stored first article of its story; None if the article is new."""

    id: int
    order: Order
    first: int | None
    links: Collection[Neighbour] = ()


def assign_stories(touched: Iterable[int], load: Callable[[set[int]], Mapping[int, Node]]) -> dict[int, int]:
    """Return article → first article of its story, for the articles in `touched` and those that must be decided again.

    `load(ids)` returns the nodes of articles, without unknown ids. An article that is its own first article is alone or
    begins a story.
    """
    nodes = dict(load(set(touched)))
    waiting = [(node.order, id_) for id_, node in nodes.items()]
    heapq.heapify(waiting)
    first: dict[int, int] = {}
    while waiting:
        order, id_ = heapq.heappop(waiting)
        if id_ in first:
            continue
        if id_ not in nodes:
            nodes.update(load({other for _, other in waiting if other not in nodes} | {id_}))
        node = nodes[id_]
        best: tuple[float, Order, int] | None = None
        for other in node.links:
            if other.order < order and first.get(other.id, other.first) == other.id:
                # The best score wins; of equal scores the earliest article.
                candidate = (-other.score, other.order, other.id)
                best = candidate if best is None else min(best, candidate)
        first[id_] = best[2] if best else id_
        if (first[id_] == id_) != (node.first == id_):
            for other in node.links:
                if other.order > order:
                    heapq.heappush(waiting, (other.order, other.id))
    return first


def keep_ids(groups: Mapping[int, Collection[int]], old: Mapping[int, int]) -> tuple[dict[int, int], set[int]]:
    """Decide which story ids the groups keep; return first article → id, and the set of ids that ended.

    `groups` is first article → members, and `old` is article → id of its story until now. A group takes the id that
    most of its members had. The largest overlap chooses first. A group that gets no id is left out.
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
    """Return first article → the ids of its story, for stories of at least two articles."""
    groups: dict[int, list[int]] = defaultdict(list)
    for id_ in sorted(firsts):
        groups[firsts[id_]].append(id_)
    return {first: members for first, members in groups.items() if len(members) > 1}


@dataclass(slots=True, frozen=True)
class Member:
    """The fields of an article that decide the lead of a story. `time` is in seconds since 1970."""

    id: int
    quality: int | None
    time: float
    url_hash: bytes


def lead_of(members: Iterable[Member]) -> Member:
    """Return the article that represents a story: the one with the best quality; of equal ones the earliest."""
    return min(members, key=lambda one: (-(one.quality or 0), one.time, one.url_hash))


def heat_of(members: Collection[Member], rules: HeatRules) -> int:
    """Return a story's heat: its lead's quality, plus a bonus for each other article if that quality reaches the floor.

    The formula is that of a single article (`worker.enrichment.heat`), with the story's articles in place of the
    related articles that a document lists. `rules` are those of the source of the lead's document.
    """
    quality = lead_of(members).quality or 0
    return quality + bonus_of(quality, len(members) - 1, rules)
