"""Writes the links that the linker found, and the stories that follow from them, in the linker's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.engine import Connection

from worker.heat_rules import AllRules, HeatRules
from worker.linking.stored_rows import StoredMember, StoredTime
from worker.linking.story_assignment import (
    Member,
    Neighbour,
    Node,
    Order,
    assign_stories,
    groups_of,
    heat_of,
    keep_ids,
    lead_of,
)
from worker.store.linking import stories as stored
from worker.store.linking.compared_articles import alive, time_of
from worker.store.linking.links import ArticleLink, add_links, write_links


class _StoryValues(NamedTuple):
    """The columns of a story that follow from its articles."""

    first_id: int
    lead_id: int
    size: int
    first_at: datetime
    last_at: datetime
    heat: int


_ENDED = {**dict.fromkeys(("first_id", "lead_id", "first_at", "last_at", "heat", "announced_at")), "size": 0}


def revise(
    connection: Connection,
    hashes: Mapping[int, bytes],
    links_of: Mapping[int, Sequence[ArticleLink]],
    now: datetime,
    rules: AllRules,
    *,
    keep_provisional: bool = False,
) -> None:
    """Set the links of the articles in `hashes` (id → identity hash) to exactly those of `links_of`, and update their stories.

    `keep_provisional`: links to articles that are linked provisionally stay until these are linked for good.
    Call it in a transaction that holds the writer lock and has confirmed the leader's token.
    """
    others = _alive_ends(connection, hashes, links_of)
    linked_before = write_links(connection, hashes, links_of, others, keep_provisional=keep_provisional)
    _update_stories(connection, {*hashes, *linked_before}, now, rules)


def add(
    connection: Connection,
    hashes: Mapping[int, bytes],
    links_of: Mapping[int, Sequence[ArticleLink]],
    now: datetime,
    rules: AllRules,
) -> None:
    """Like `revise`, but only add links: those that exist stay."""
    linked = add_links(connection, hashes, links_of, _alive_ends(connection, hashes, links_of))
    _update_stories(connection, linked, now, rules)


def _alive_ends(
    connection: Connection, hashes: Mapping[int, bytes], links_of: Mapping[int, Sequence[ArticleLink]]
) -> dict[int, bytes]:
    """Return id → url_hash of the articles at the other ends, as far as they have content still."""
    return alive(connection, {link.other for id_ in hashes for link in links_of.get(id_, ())})


def _update_stories(connection: Connection, touched: Collection[int], now: datetime, rules: AllRules) -> None:
    """Decide the stories of the articles in `touched`, whose links changed, and of those that depend on them."""
    firsts = assign_stories(touched, lambda ids: _load_nodes(connection, ids))
    _write_stories(connection, firsts, now, rules)


def _load_nodes(connection: Connection, ids: set[int]) -> dict[int, Node]:
    linked: dict[int, list[Neighbour]] = defaultdict(list)
    for row in stored.links_of(connection, ids):
        linked[row.source_id].append(Neighbour(row.id, row.score, _order_of(row), row.first_id or row.id))
    return {
        row.id: Node(row.id, _order_of(row), row.first_id or row.id, linked[row.id])
        for row in stored.nodes_of(connection, ids)
    }


def _order_of(row: StoredTime) -> Order:
    return row.time.toordinal(), row.url_hash


def _write_stories(connection: Connection, firsts: Mapping[int, int], now: datetime, rules: AllRules) -> None:
    """Write the stories around the articles in `firsts` (article → first article of its story)."""
    members = {row.id: row for row in stored.members_around(connection, {*firsts, *firsts.values()})}
    story_of = {id_: row.story_id for id_, row in members.items() if row.story_id is not None}
    before = stored.stories_by_id(connection, set(story_of.values()))
    known_firsts = {id_: before[story].first_id for id_, story in story_of.items()}
    groups = groups_of({id_: firsts.get(id_, known_firsts.get(id_, id_)) for id_ in members})
    ids_before: dict[int, list[int]] = defaultdict(list)
    for id_ in sorted(story_of):
        ids_before[story_of[id_]].append(id_)
    story_ids, ended = keep_ids(groups, story_of)
    values_of = _values_of(connection, groups, members, rules)
    changes = [
        {"id": story, **values_of[first]._asdict(), "changed_at": now, "announced_at": None}
        for first, story in story_ids.items()
        if _differs(before[story], values_of[first]) or ids_before[story] != groups[first]
    ]
    new = [first for first in groups if first not in story_ids]
    created = stored.create(connection, [{**values_of[first]._asdict(), "changed_at": now} for first in new])
    _assign(connection, groups, {**story_ids, **dict(zip(new, created, strict=True))}, story_of)
    ends = [{"id": story, **_ENDED, "changed_at": now} for story in sorted(ended)]
    stored.change(connection, [*changes, *ends])


def _assign(
    connection: Connection, groups: Mapping[int, Sequence[int]], story_ids: Mapping[int, int], before: Mapping[int, int]
) -> None:
    """Write the story of each article whose story is not the one in `before`; `story_ids`: first article → story."""
    story_of: dict[int, int | None] = dict.fromkeys(before)
    for first, story in story_ids.items():
        story_of.update(dict.fromkeys(groups[first], story))
    stored.assign(connection, {id_: story for id_, story in story_of.items() if before.get(id_) != story})


def _values_of(
    connection: Connection, groups: Mapping[int, Sequence[int]], members: Mapping[int, StoredMember], rules: AllRules
) -> dict[int, _StoryValues]:
    """Return id of the first article → the column values of its story."""
    leads = {first: lead_of([_member(members[id_]) for id_ in ids]).id for first, ids in groups.items()}
    source_of = stored.sources_of(connection, leads.values()) if rules.by_source else {}
    return {
        first: _values(first, leads[first], [members[id_] for id_ in ids], rules.of(source_of.get(leads[first], "")))
        for first, ids in groups.items()
    }


def _member(row: StoredMember) -> Member:
    return Member(row.id, row.quality, time_of(row), row.url_hash)


def _values(first: int, lead: int, rows: Sequence[StoredMember], rules: HeatRules) -> _StoryValues:
    times = [row.time for row in rows]
    heat = heat_of([_member(row) for row in rows], rules)
    return _StoryValues(first, lead, len(rows), min(times), max(times), heat)


def _differs(row: object, values: _StoryValues) -> bool:
    return any(getattr(row, name) != value for name, value in values._asdict().items())


__all__ = ["add", "revise"]
