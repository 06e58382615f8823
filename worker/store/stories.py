"""Stories in the store: arranged anew around articles whose links changed, with ids that stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from worker.store.bulk import among, fetch, fetch_from
from worker.store.tables import articles, documents, links, stories

_MEMBER = (articles.c.id, articles.c.story_id, articles.c.quality, articles.c.published_at, articles.c.first_seen_at,
           articles.c.url_hash)  # fmt: skip
_SOURCES = select(articles.c.id, documents.c.source).join(documents, documents.c.id == articles.c.document_id)


def nodes_of(connection: Connection, ids: Iterable[int]) -> list[Any]:
    """Articles with their place in time and the first article of their story (null: alone)."""
    wanted = list(ids)
    columns = (
        articles.c.id,
        articles.c.published_at,
        articles.c.first_seen_at,
        articles.c.url_hash,
        stories.c.first_id,
    )
    joined = articles.outerjoin(stories, stories.c.id == articles.c.story_id)
    query = select(*columns).select_from(joined).where(among(connection, articles.c.id, wanted))
    return list(connection.execute(query))


def ties_of(connection: Connection, ids: Iterable[int], kinds: Iterable[str]) -> list[Any]:
    """The links of articles, each with what `nodes_of` tells of the article at its other end."""
    joined = links.join(articles, articles.c.url_hash == links.c.target_hash).outerjoin(
        stories, stories.c.id == articles.c.story_id
    )
    columns = (links.c.source_id, links.c.score, articles.c.id, articles.c.published_at, articles.c.first_seen_at,
               articles.c.url_hash, stories.c.first_id)  # fmt: skip
    query = select(*columns).select_from(joined).where(
        among(connection, links.c.source_id, list(ids)), links.c.kind.in_(list(kinds))
    )  # fmt: skip
    return list(connection.execute(query))


def members_around(connection: Connection, ids: Iterable[int]) -> list[Any]:
    """The articles `ids` and all those that share a story with one of them."""
    own = {row.id: row for row in fetch(connection, _MEMBER, articles.c.id, ids)}
    shared = {row.story_id for row in own.values()} - {None}
    own.update({row.id: row for row in fetch(connection, _MEMBER, articles.c.story_id, shared)})
    return list(own.values())


def sources_of(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Article → the source of the document that it shows."""
    return {row.id: row.source for row in fetch_from(connection, _SOURCES, articles.c.id, ids)}


def stories_by_id(connection: Connection, ids: Iterable[int]) -> dict[int, Any]:
    """Id → story."""
    return {row.id: row for row in fetch(connection, tuple(stories.c), stories.c.id, ids)}


def create(connection: Connection, values: Mapping[str, Any]) -> int:
    """A new story; returns its id."""
    return int(connection.execute(insert(stories).values(values).returning(stories.c.id)).scalar_one())


def change(connection: Connection, id_: int, values: Mapping[str, Any]) -> None:
    """Let a story be different."""
    connection.execute(update(stories).where(stories.c.id == id_).values(values))


def assign(connection: Connection, story_of: Mapping[int, int | None]) -> None:
    """Put articles into stories (None: into none)."""
    if story_of:
        move = update(articles).where(articles.c.id == bindparam("article")).values(story_id=bindparam("story"))
        connection.execute(move, [{"article": id_, "story": story_of[id_]} for id_ in sorted(story_of)])


def unannounced(connection: Connection, most: int) -> list[Any]:
    """Stories whose last change the feed has not carried, with their lead's URL."""
    query = (
        select(stories, articles.c.canonical_url)
        .outerjoin(articles, articles.c.id == stories.c.lead_id)
        .where(stories.c.announced_at.is_(None))
        .order_by(stories.c.changed_at, stories.c.id)
        .limit(most)
    )
    return list(connection.execute(query))


def mark_announced(connection: Connection, carried: Iterable[Any]) -> None:
    """The feed has carried these; those that ended are needed no more."""
    now = datetime.now(UTC)
    for row in carried:
        same = (stories.c.id == row.id) & (stories.c.changed_at == row.changed_at)
        if row.size == 0:
            connection.execute(delete(stories).where(same))
        else:
            connection.execute(update(stories).where(same).values(announced_at=now))
