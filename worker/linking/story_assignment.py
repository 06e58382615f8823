"""Assigns articles to stories by their links. No I/O.

Articles are taken in the order of (day, hash). Each one joins the story whose *first* article it has the best link to
(leader clustering, Hartigan 1975). An article without such a link joins the story in which it has the most links, if
these are at least `MIN_LINKS`; otherwise it begins a new story. So chains of links do not build huge stories: the
largest connected component of a collection has 99 articles, and its largest story 35. A decision depends only on the
stories of earlier articles. So after a change only linked articles later in the order are decided again, and the result
of `assign_stories` equals that of deciding all articles from the beginning.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from worker.enrichment.heat import bonus_of
from worker.heat_rules import HeatRules

MIN_LINKS = 3
"""So many links to articles of a story make an article part of it, also without a link to its first article. (Measured
in two collections: of the pairs about one event that documents list as related, .85 and .56 are linked or in one story,
.76 and .52 without this rule. The precision of such pairs is the same. 2 links lower it by .034, and 4 find less.)"""

Order = tuple[int, bytes]
"""The number of the article's day, and the hash of its identity."""


class Neighbour(NamedTuple):
    """An article at the other end of a link. `first` is the first article of its story; its own id if it is in none."""

    id: int
    score: float
    order: Order
    first: int


class Node(NamedTuple):
    """An article with its links. `first` is the stored first article of its story; None if the article is new."""

    id: int
    order: Order
    first: int | None
    links: Collection[Neighbour] = ()


def assign_stories(touched: Iterable[int], load: Callable[[set[int]], Mapping[int, Node]]) -> dict[int, int]:
    """Return article → first article of its story, for the articles in `touched` and those that must be decided again.

    `touched`: at least one end of each link that is new or has another score, and both ends of each link that is gone.
    `load(ids)` returns the nodes of articles, without unknown ids. An article that is its own first article is alone or
    begins a story.
    """
    touched = set(touched)
    nodes = dict(load(touched))
    # These are decided too. They are read at once instead of a few at a time: each time is a round trip under a lock.
    nodes.update(load(_linked_later(nodes.values()) - touched))
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
        earlier = [(first.get(other.id, other.first), other) for other in node.links if other.order < order]
        first[id_] = _story_of(id_, earlier)
        if first[id_] != node.first or id_ in touched:
            for other in node.links:
                if other.order > order:
                    heapq.heappush(waiting, (other.order, other.id))
    return first


def _linked_later(nodes: Iterable[Node]) -> set[int]:
    """Return the articles that are linked to one of `nodes` and come later in the order than it."""
    return {other.id for node in nodes for other in node.links if other.order > node.order}


def _story_of(id_: int, earlier: Collection[tuple[int, Neighbour]]) -> int:
    """Return the first article of an article's story. `earlier`: (first article of its story, neighbour) of each link.

    Of equal stories that with the best link wins, and of equal links that to the earliest article.
    """
    to_firsts = [other for first, other in earlier if first == other.id]
    if to_firsts:
        return min(to_firsts, key=_by_score).id
    if len(earlier) < MIN_LINKS:
        return id_
    ranked = sorted(earlier, key=lambda one: _by_score(one[1]))
    first, links = Counter(first for first, _ in ranked).most_common(1)[0]  # of equal counts the first in `ranked`
    return first if links >= MIN_LINKS else id_


def _by_score(other: Neighbour) -> tuple[float, Order]:
    return -other.score, other.order


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


class Member(NamedTuple):
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
