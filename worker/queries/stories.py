"""Stories with their articles, for the console and the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.engine import Connection

from worker.store.sql.statements import fetch
from worker.store.tables import article_topics, articles, providers, stories, topics

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def since(text: str, now: datetime) -> datetime:
    """Parse `90m`, `6h`, `3d` or `2w` (that long before `now`), or an ISO 8601 day or time (UTC if it has no zone).

    Raises ValueError with a message for the user.
    """
    ago = re.fullmatch(r"(\d{1,5})([mhdw])", text.strip())
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is neither like 6h, 3d or 2w nor a day or time like 2020-05-29") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def list_stories(
    connection: Connection,
    *,
    after: datetime | None = None,
    topic: str | None = None,
    most: int = 20,
    before: tuple[datetime, int] | None = None,
) -> list[dict[str, Any]]:
    """Return at most `most` stories with several articles, the newest first; in each story the lead comes first.

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
    found = connection.execute(query.order_by(stories.c.last_at.desc(), stories.c.id.desc()).limit(most)).all()
    members = _members(connection, [story.id for story in found])
    return [_story(story, members.get(story.id, [])) for story in found]


def story(connection: Connection, id_: int | None) -> dict[str, Any] | None:
    """Return one story with its articles; None if there is none."""
    row = connection.execute(select(stories).where(stories.c.id == id_)).first() if id_ is not None else None
    return _story(row, _members(connection, [row.id]).get(row.id, [])) if row is not None else None


def _members(connection: Connection, ids: list[int]) -> dict[int, list[Any]]:
    columns = (articles.c.id, articles.c.story_id, articles.c.title, articles.c.canonical_url, articles.c.published_at,
               articles.c.quality, articles.c.is_stub, articles.c.provider_id)  # fmt: skip
    rows = fetch(connection, columns, articles.c.story_id, ids)
    named = fetch(connection, (providers.c.id, providers.c.name, providers.c.domain), providers.c.id,
                  {row.provider_id for row in rows})  # fmt: skip
    name_of = {row.id: row.name or row.domain for row in named}
    members: dict[int, list[Any]] = {}
    for row in sorted(rows, key=lambda row: (row.published_at or datetime.max.replace(tzinfo=UTC), row.id)):
        members.setdefault(row.story_id, []).append(
            {
                "id": row.id, "title": row.title, "url": row.canonical_url, "provider": name_of.get(row.provider_id),
                "published_at": row.published_at.isoformat() if row.published_at else None, "quality": row.quality,
                "is_stub": row.is_stub,
            }
        )  # fmt: skip
    return members


def _story(row: Any, members: list[Any]) -> dict[str, Any]:
    members = sorted(members, key=lambda member: member["id"] != row.lead_id)
    return {
        "id": row.id, "size": row.size, "heat": row.heat,
        "first_at": row.first_at.isoformat() if row.first_at else None,
        "last_at": row.last_at.isoformat() if row.last_at else None,
        "lead": members[0] if members and members[0]["id"] == row.lead_id else None,
        "articles": members,
    }  # fmt: skip
