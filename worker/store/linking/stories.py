"""Read and write stories: the linker assigns articles again where links changed; a story keeps its id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from worker.store.clock import store_time
from worker.store.linking.compared_articles import TIME
from worker.store.linking.links import KINDS
from worker.store.sql.statements import among, fetch, fetch_from, set_values
from worker.store.tables import articles, documents, links, stories

_MEMBER = (articles.c.id, articles.c.story_id, articles.c.quality, TIME, articles.c.url_hash, articles.c.link_state)
_NODE = (articles.c.id, TIME, articles.c.url_hash, stories.c.first_id)
_NODES = select(*_NODE).select_from(articles.outerjoin(stories, stories.c.id == articles.c.story_id))
_LINKS = (
    select(links.c.source_id, links.c.score, *_NODE)
    .select_from(
        links.join(articles, articles.c.url_hash == links.c.target_hash).outerjoin(
            stories, stories.c.id == articles.c.story_id
        )
    )
    .where(links.c.kind.in_(KINDS))
)
_SOURCES = select(articles.c.id, documents.c.source).join(documents, documents.c.id == articles.c.document_id)


def nodes_of(connection: Connection, ids: Iterable[int]) -> list[Any]:
    """Return articles with their times and the first article of their story (null: in no story)."""
    return fetch_from(connection, _NODES, articles.c.id, ids)


def links_of(connection: Connection, ids: Iterable[int]) -> list[Any]:
    """Return the linker's links of articles, each with the columns of `nodes_of` for the article at the other end."""
    return fetch_from(connection, _LINKS, links.c.source_id, ids)


def members_around(connection: Connection, ids: Iterable[int]) -> list[Any]:
    """Return the articles `ids` and all articles that share a story with one of them."""
    own = {row.id: row for row in fetch(connection, _MEMBER, articles.c.id, ids)}
    shared = {row.story_id for row in own.values()} - {None}
    own.update({row.id: row for row in fetch(connection, _MEMBER, articles.c.story_id, shared)})
    return list(own.values())


def sources_of(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Return article id → the source of the document that the article shows."""
    return {row.id: row.source for row in fetch_from(connection, _SOURCES, articles.c.id, ids)}


def stories_by_id(connection: Connection, ids: Iterable[int]) -> dict[int, Any]:
    """Return id → story row."""
    return {row.id: row for row in fetch(connection, tuple(stories.c), stories.c.id, ids)}


def create(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert stories; returns their ids, in the order of `rows`."""
    if not rows:
        return []
    made = insert(stories).returning(stories.c.id, sort_by_parameter_order=True)
    return list(connection.scalars(made, [dict(row) for row in rows]))


def change(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Update stories. Each of `rows` holds an id and the new values."""
    set_values(connection, stories, rows, "id")


def assign(connection: Connection, assigned: Mapping[int, tuple[int | None, str]]) -> None:
    """Assign articles to stories: article id → story id (None: no story) and link state."""
    rows = [{"id": id_, "story_id": story, "link_state": state} for id_, (story, state) in sorted(assigned.items())]
    set_values(connection, articles, rows, "id")


def unannounced(connection: Connection, most: int) -> list[Any]:
    """Return stories whose last change is not in the change feed yet, with their lead's URL; oldest first."""
    query = (
        select(stories, articles.c.canonical_url)
        .outerjoin(articles, articles.c.id == stories.c.lead_id)
        .where(stories.c.announced_at.is_(None))
        .order_by(stories.c.changed_at, stories.c.id)
        .limit(most)
    )
    return list(connection.execute(query))


def mark_announced(connection: Connection, carried: Iterable[Any]) -> None:
    """Mark stories as published in the change feed; those that ended are deleted.

    A story changed meanwhile is left alone.
    """
    now = store_time(connection)
    alike: dict[tuple[bool, datetime], list[int]] = defaultdict(list)
    for row in carried:
        alike[row.size == 0, row.changed_at].append(row.id)
    for (ended, changed_at), ids in sorted(alike.items()):
        same = among(connection, stories.c.id, ids) & (stories.c.changed_at == changed_at)
        connection.execute(
            delete(stories).where(same) if ended else update(stories).where(same).values(announced_at=now)
        )
