"""Articles that the linker compares: their columns, and which of them it reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.store.sql.statements import fetch
from worker.store.tables import articles

_PAGE = 2000
TIME = func.coalesce(articles.c.published_at, articles.c.first_seen_at).label("time")
"""An article's time: when it was published, else when it was first seen."""


INDEXED = (
    articles.c.id, articles.c.title, articles.c.excerpt, articles.c.kind, TIME, articles.c.changed_at, articles.c.orphaned_at,
    articles.c.provider_id,
)  # fmt: skip
"""The columns of an article that others are compared with."""

_COMPARED = (*INDEXED, articles.c.url_hash)


def time_of(row: Any) -> float:
    """Return the time of a row with the column `TIME` in seconds since 1970."""
    found: datetime = row.time
    return found.timestamp()


def arrival_count(connection: Connection, day: date, kinds: Collection[str]) -> int:
    """Return how many articles of `kinds` with content were first seen on a day."""
    return int(connection.scalar(select(func.count()).select_from(articles).where(*arrivals(day, kinds))) or 0)


def first_seen_count(connection: Connection, day: date) -> int:
    """Return how many articles were first seen on a day, of any kind and with or without content."""
    query = select(func.count()).select_from(articles).where(*first_seen_on(day))
    return int(connection.scalar(query) or 0)


def newest_id(connection: Connection) -> int:
    """Return the largest article id, or 0. Each new article has a larger id."""
    return int(connection.scalar(select(func.max(articles.c.id))) or 0)


def arrivals(day: date, kinds: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for articles of `kinds` with content that were first seen on a day, for `pages`."""
    return (*first_seen_on(day), *with_content(kinds))


def with_content(kinds: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for articles of `kinds` with content (no orphans), for `pages`."""
    return articles.c.orphaned_at.is_(None), articles.c.kind.in_(kinds)


def changed_on(day: date) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for articles whose current version was written on a day, for `pages`."""
    return _on_day(articles.c.changed_at, day)


def first_seen_on(day: date) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for articles that were first seen on a day, of any kind and with or without content."""
    return _on_day(articles.c.first_seen_at, day)


def _on_day(column: Any, day: date) -> tuple[ColumnElement[bool], ...]:
    first, next_day = (datetime.combine(one, time(), UTC) for one in (day, day + timedelta(days=1)))
    return column >= first, column < next_day


def published_between(first: float, last: float) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for articles whose `time_of` is between two times (seconds since 1970), for `pages`."""
    low, high = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
    published = articles.c.published_at.between(low, high)
    return (published | (articles.c.published_at.is_(None) & articles.c.first_seen_at.between(low, high)),)


def pages(
    connection: Connection,
    where: Iterable[ColumnElement[bool]] = (),
    columns: Sequence[Any] = _COMPARED,
    *,
    after: int = 0,
) -> Iterator[Sequence[Any]]:
    """Yield pages of the articles that match `where`, in the order of their ids, from the first id above `after`."""
    query = select(*columns).where(*where).order_by(articles.c.id).limit(_PAGE)
    while True:
        page = connection.execute(query.where(articles.c.id > after)).all()
        if not page:
            return
        yield page
        after = page[-1].id


def compared(connection: Connection, ids: Iterable[int]) -> dict[int, Row[Any]]:
    """Return id → the columns of an article that are compared."""
    return {row.id: row for row in fetch(connection, _COMPARED, articles.c.id, ids)}


def article_count(connection: Connection) -> int:
    """Return how many articles have content, stubs included."""
    query = select(func.count()).select_from(articles).where(articles.c.orphaned_at.is_(None))
    return int(connection.scalar(query) or 0)


def alive(connection: Connection, ids: Iterable[int]) -> dict[int, bytes]:
    """Return id → url_hash of the articles that have content (no orphans)."""
    columns = (articles.c.id, articles.c.url_hash, articles.c.orphaned_at)
    return {row.id: row.url_hash for row in fetch(connection, columns, articles.c.id, ids) if row.orphaned_at is None}
