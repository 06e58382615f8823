"""Chooses the links of each article among those that could be stored: its best ones. No I/O.

A link is stored if one of its two ends chose it. So an article may have more links than it chose, but all together have
at most `MAX_LINKS` for each article, whatever number of articles report one event.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from worker.linking.index import Neighbour
from worker.linking.pairs.similar_links import Link, PairLinks
from worker.store.linking.links import ArticleLink

MAX_LINKS = 40
"""Links that an article chooses at most. (Measured: in two collections this limit removes no link, and 32 removes 9 of
3,310 in one of them.)"""


def choose_links(
    similar: Mapping[int, Sequence[Neighbour]],
    pairs: PairLinks,
    twins: Collection[tuple[int, int]],
    chosen_by_others: Collection[tuple[int, int]],
    hash_of: Mapping[int, bytes],
) -> dict[int, list[ArticleLink]]:
    """Return the links of each article of `similar` (id → its possible links).

    `twins`: pairs of ids of one article. `chosen_by_others`: (article of `similar`, another one) for the stored links
    that the other one chose. `hash_of`: id → url_hash, which orders equal scores, because ids depend on the order of
    arrival.
    """
    same = {*twins, *((other, one) for one, other in twins)}
    linked: dict[tuple[int, int], tuple[int | None, Link, float]] = {}
    for id_, found in similar.items():
        rank = 0
        for other in sorted(found, key=lambda one: (-one.score, hash_of.get(one.id, b""))):
            pair = id_, other.id
            is_choice = rank < MAX_LINKS
            is_chosen = pair in chosen_by_others and other.id not in similar
            if pair in same or not (is_choice or is_chosen):
                continue
            link = pairs.decide(id_, other.id, other.score)
            if link is not None:
                linked[pair] = (rank if is_choice else None, link, other.score)
                rank += 1
    for (one, end), (place, link, score) in list(linked.items()):
        if place is not None and end in similar:
            linked.setdefault((end, one), (None, link, score))
    return _links_of(similar, linked, same, pairs.reasons())


def _links_of(
    ids: Collection[int],
    linked: Mapping[tuple[int, int], tuple[int | None, Link, float]],
    same: Collection[tuple[int, int]],
    reasons: Mapping[tuple[int, int], str],
) -> dict[int, list[ArticleLink]]:
    links_of: dict[int, list[ArticleLink]] = {id_: [] for id_ in ids}
    for id_, twin in sorted(same):
        if id_ in links_of:
            links_of[id_].append(ArticleLink(twin, "duplicate", 1.0, "the same article at another address", 0))
    for (id_, other), (rank, link, score) in linked.items():
        links_of[id_].append(ArticleLink(other, link.kind, score, reasons[min(id_, other), max(id_, other)], rank))
    return links_of
