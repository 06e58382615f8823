"""Stories with their articles, for the console and the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypedDict

from sqlalchemy import select, tuple_
from sqlalchemy.engine import Connection

from worker.queries.rows import AnyRow, iso
from worker.store.sql.statements import fetch
from worker.store.tables import article_topics, articles, providers, stories, topics


class StoryArticle(TypedDict):
    """An article of a story. Times are ISO 8601."""

    id: int
    title: str | None
    url: str | None
    provider: str | None
    published_at: str | None
    quality: int | None
    is_stub: bool


class Story(TypedDict):
    """A story; in `articles` the lead comes first. Times are ISO 8601."""

    id: int
    size: int
    heat: int | None
    first_at: str | None
    last_at: str | None
    lead: StoryArticle | None
    articles: list[StoryArticle]


def list_stories(
    connection: Connection,
    *,
    after: datetime | None = None,
    topic: str | None = None,
    limit: int = 20,
    before: tuple[datetime, int] | None = None,
) -> list[Story]:
    """Return at most `limit` stories with several articles, the newest first.

    `after`: the earliest time of a story's newest article. `topic`: one of its articles has it. `before`: the
    (`last_at`, id) of the last story of the page before.
    """
    query = select(stories).where(stories.c.size > 1)
    if before is not None:
        query = query.where(tuple_(stories.c.last_at, stories.c.id) < tuple_(*before))
    if after is not None:
        query = query.where(stories.c.last_at >= after)
    if topic is not None:
        about = (
            select(articles.c.story_id)
            .join(article_topics, article_topics.c.article_id == articles.c.id)
            .join(topics, topics.c.id == article_topics.c.topic_id)
            .where(topics.c.slug == topic.casefold(), articles.c.story_id.is_not(None))
        )
        query = query.where(stories.c.id.in_(about))
    page = connection.execute(query.order_by(stories.c.last_at.desc(), stories.c.id.desc()).limit(limit)).all()
    members = _members(connection, [row.id for row in page])
    return [_story(row, members.get(row.id, [])) for row in page]


def story(connection: Connection, id_: int | None) -> Story | None:
    """Return one story with its articles; None if there is none."""
    row = connection.execute(select(stories).where(stories.c.id == id_)).first() if id_ is not None else None
    return _story(row, _members(connection, [row.id]).get(row.id, [])) if row is not None else None


def _members(connection: Connection, ids: list[int]) -> dict[int, list[StoryArticle]]:
    """Return story → its articles, the oldest first."""
    names = ("id", "story_id", "title", "canonical_url", "published_at", "quality", "is_stub", "provider_id")
    rows = fetch(connection, [articles.c[name] for name in names], articles.c.story_id, ids)
    columns, provider_ids = (providers.c.id, providers.c.name, providers.c.domain), {row.provider_id for row in rows}
    name_of = {row.id: row.name or row.domain for row in fetch(connection, columns, providers.c.id, provider_ids)}
    members: dict[int, list[StoryArticle]] = {}
    for row in sorted(rows, key=lambda row: (row.published_at or datetime.max.replace(tzinfo=UTC), row.id)):
        one = StoryArticle(
            id=row.id,
            title=row.title,
            url=row.canonical_url,
            provider=name_of.get(row.provider_id),
            published_at=iso(row.published_at),
            quality=row.quality,
            is_stub=row.is_stub,
        )
        members.setdefault(row.story_id, []).append(one)
    return members


def _story(row: AnyRow, members: list[StoryArticle]) -> Story:
    members = sorted(members, key=lambda member: member["id"] != row.lead_id)
    return Story(
        id=row.id,
        size=row.size,
        heat=row.heat,
        first_at=iso(row.first_at),
        last_at=iso(row.last_at),
        lead=members[0] if members and members[0]["id"] == row.lead_id else None,
        articles=members,
    )
