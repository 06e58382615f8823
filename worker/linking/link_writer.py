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
from worker.store.linking.compared_articles import time_of
from worker.store.linking.link_states import mark_linked, marked
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


class LinkedArticles(NamedTuple):
    """The articles of a batch that were not changed since they were read, and what was found for them.

    `hashes`: id → identity hash. `links_of`: id → links. `others`: id → identity hash of the articles at the other ends
    that have content still. `mark`: the link state that they get, None if it stays. `now`: the store's time.
    """

    hashes: Mapping[int, bytes]
    links_of: Mapping[int, Sequence[ArticleLink]]
    others: Mapping[int, bytes]
    mark: str | None
    now: datetime


def revise(connection: Connection, batch: LinkedArticles, rules: AllRules) -> None:
    """Set the links of the articles to exactly those that were found, update their stories, and mark them.

    With the mark `linked`, links to articles that are linked provisionally stay until these are linked for good.
    Call it in a transaction that holds the writer lock and has confirmed the leader's token.
    """
    linked_before = write_links(
        connection, batch.hashes, batch.links_of, batch.others, keep_provisional=batch.mark == "linked"
    )
    _update_stories(connection, batch, {*batch.hashes, *linked_before}, rules)


def add(connection: Connection, batch: LinkedArticles, rules: AllRules) -> None:
    """Like `revise`, but only add links: those that exist stay."""
    linked = add_links(connection, batch.hashes, batch.links_of, batch.others)
    _update_stories(connection, batch, linked, rules)


def _update_stories(connection: Connection, batch: LinkedArticles, touched: Collection[int], rules: AllRules) -> None:
    """Decide the stories of the articles in `touched`, whose links changed, and of those that depend on them."""
    firsts = assign_stories(touched, lambda ids: _load_nodes(connection, ids))
    _write_stories(connection, firsts, batch, rules)


def _load_nodes(connection: Connection, ids: set[int]) -> dict[int, Node]:
    if not ids:
        return {}
    linked: dict[int, list[Neighbour]] = defaultdict(list)
    for row in stored.links_of(connection, ids):
        linked[row.source_id].append(Neighbour(row.id, row.score, _order_of(row), row.first_id or row.id))
    return {
        row.id: Node(row.id, _order_of(row), row.first_id or row.id, linked[row.id])
        for row in stored.nodes_of(connection, ids)
    }


def _order_of(row: StoredTime) -> Order:
    return row.time.toordinal(), row.url_hash


def _write_stories(connection: Connection, firsts: Mapping[int, int], batch: LinkedArticles, rules: AllRules) -> None:
    """Write the stories around the articles in `firsts` (article → first article of its story), and mark the batch."""
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
        {"id": story, **values_of[first]._asdict(), "changed_at": batch.now, "announced_at": None}
        for first, story in story_ids.items()
        if _differs(before[story], values_of[first]) or ids_before[story] != groups[first]
    ]
    new = [first for first in groups if first not in story_ids]
    created = stored.create(connection, [{**values_of[first]._asdict(), "changed_at": batch.now} for first in new])
    _assign(connection, groups, {**story_ids, **dict(zip(new, created, strict=True))}, members, batch)
    ends = [{"id": story, **_ENDED, "changed_at": batch.now} for story in sorted(ended)]
    stored.change(connection, [*changes, *ends])


def _assign(
    connection: Connection,
    groups: Mapping[int, Sequence[int]],
    story_ids: Mapping[int, int],
    members: Mapping[int, StoredMember],
    batch: LinkedArticles,
) -> None:
    """Write the story of each article whose story changes, and the mark of the batch's articles.

    `story_ids`: first article → story. A row is written once: each update adds entries to all indexes of the articles.
    """
    story_of = {id_: story for first, story in story_ids.items() for id_ in groups[first]}
    marks = dict.fromkeys(batch.hashes, batch.mark) if batch.mark else {}
    assigned = {
        id_: (story_of.get(id_), marked(row.link_state, marks.pop(id_, None)))
        for id_, row in members.items()
        if story_of.get(id_) != row.story_id
    }
    stored.assign(connection, assigned)
    if batch.mark:
        mark_linked(connection, marks, batch.mark)


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


__all__ = ["LinkedArticles", "add", "revise"]
