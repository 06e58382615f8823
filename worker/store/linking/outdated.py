"""Articles whose links are of an older rule: they are marked by `copydesk relink`, and the linker links them again.

The state is in the store, so neither the end of the command nor that of the linker loses it. Until an article is linked
again it keeps its links and its story.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.store.linking.compared_articles import TIME, published_between, with_content
from worker.store.linking.link_states import IS_LINKED, IS_OUTDATED
from worker.store.linking.links import KINDS
from worker.store.sql.statements import among
from worker.store.tables import articles, links, stories

Condition = tuple[ColumnElement[bool], ...]


@dataclass(slots=True, frozen=True)
class Counts:
    """How many articles a span has, how many links of the linker they have, and in how many stories they are."""

    articles: int
    links: int
    stories: int


def span(first: float, last: float, kinds: Collection[str]) -> Condition:
    """Return the condition for articles of `kinds` with content, of a time between two (seconds since 1970)."""
    return *published_between(first, last), *with_content(kinds)


def count(connection: Connection, where: Condition) -> Counts:
    """Count the articles that match `where`. A link between two of them counts once, another one too."""
    ids = select(articles.c.id).where(*where)
    ends = (
        select(links.c.source_id, links.c.target_id)
        .where(links.c.kind.in_(KINDS), links.c.source_id.in_(ids))
        .subquery()
    )
    twice = select(func.count()).where(ends.c.target_id.in_(ids), ends.c.target_id < ends.c.source_id)
    in_stories = select(func.count(articles.c.story_id.distinct())).join(stories, stories.c.id == articles.c.story_id)
    return Counts(
        _number(connection, select(func.count()).select_from(articles).where(*where)),
        _number(connection, select(func.count()).select_from(ends)) - _number(connection, twice),
        _number(connection, in_stories.where(*where)),
    )


def mark(connection: Connection, where: Condition, *, after: int, most: int) -> tuple[int, int] | None:
    """Mark up to `most` linked articles that match `where`, in the order of their ids, from the first above `after`.

    Returns (the last id, how many were marked); None if there are none left. Call it under the writer lock.
    """
    query = select(articles.c.id).where(*where, IS_LINKED, articles.c.id > after).order_by(articles.c.id).limit(most)
    ids = list(connection.scalars(query))
    if not ids:
        return None
    connection.execute(
        update(articles).where(among(connection, articles.c.id, ids), IS_LINKED).values(link_state="outdated")
    )
    return ids[-1], len(ids)


def waiting(connection: Connection) -> int:
    """Return how many articles are marked."""
    return _number(connection, select(func.count()).select_from(articles).where(IS_OUTDATED))


def oldest(connection: Connection, most: int) -> Sequence[Any]:
    """Return (id, time) of marked articles, in the order of their publication.

    So those of one time are linked together, and the linker's window moves with them.
    """
    query = select(articles.c.id, TIME).where(IS_OUTDATED)
    return connection.execute(query.order_by(articles.c.published_at, articles.c.id).limit(most)).all()


def newest_day(connection: Connection) -> date | None:
    """Return the day of the newest change of an article; None without articles."""
    changed_at = connection.scalar(select(articles.c.changed_at).order_by(articles.c.changed_at.desc()).limit(1))
    return changed_at.date() if changed_at else None


def _number(connection: Connection, query: Any) -> int:
    return int(connection.scalar(query) or 0)
