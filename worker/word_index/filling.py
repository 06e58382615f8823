"""Fills the index of words in small transactions beside the live batches, in the order in which articles changed.

`roll_ups` keeps the position: all articles that changed before `until`, and those that changed then with ids up to
`after_id`, are indexed. One process at a time moves it on; a second one notices and stops. A crash repeats one page.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, literal, select, tuple_, update
from sqlalchemy.engine import Connection, Engine

from worker.settings import Settings
from worker.store.clock import store_time
from worker.store.engine import writing
from worker.store.sql.statements import merge
from worker.store.tables import articles, roll_ups
from worker.word_index import stored_terms
from worker.word_index.terms import terms_of

_NAME = "words"
_PAGE = 1000
"""Articles of one transaction: on SQLite others wait for its write lock, for some 50 ms."""


class Position(NamedTuple):
    """Articles that changed up to `until` are indexed, of those that changed at `until` the ids up to `after_id`."""

    until: datetime
    after_id: int

    @property
    def is_later(self) -> ColumnElement[bool]:
        """The condition for the articles that changed later, which are not indexed yet. `ix_articles_changed_at` has this order."""
        return tuple_(articles.c.changed_at, articles.c.id) > tuple_(
            literal(self.until, articles.c.changed_at.type), literal(self.after_id)
        )


BEGINNING = Position(datetime(1970, 1, 1, tzinfo=UTC), 0)


def fill(engine: Engine, config: Settings, *, seconds: float, advance: Callable[[int], None] = lambda _: None) -> bool:
    """Index the articles that changed, for about `seconds`; return whether none is left.

    The changes of the last half minute are left for the next call, because older ones may still be committed. `advance`
    gets the count of articles of each transaction. Raises SQLAlchemy's errors.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        count = _fill_page(engine, config.commit_seconds)
        if not count:
            return True
        advance(count)
    return False


def read_position(connection: Connection) -> Position | None:
    """Return how far the index is; None: the store has no index."""
    if not stored_terms.exists(connection):
        return None
    row = connection.execute(select(roll_ups.c.until, roll_ups.c.after_id).where(roll_ups.c.name == _NAME)).first()
    return Position(row.until, row.after_id) if row is not None else BEGINNING


def count_waiting(connection: Connection, position: Position) -> int:
    """Return how many articles changed since the index was filled."""
    return int(connection.scalar(select(func.count()).select_from(articles).where(position.is_later)) or 0)


def _fill_page(engine: Engine, delay_seconds: float) -> int:
    """Index the next articles; return how many, or 0 if none is left, or if another process indexes them."""
    with engine.begin() as connection:
        position = read_position(connection)
        if position is None:
            return 0
        until = store_time(connection) - timedelta(seconds=delay_seconds)
        columns = (articles.c.id, articles.c.changed_at, articles.c.title, articles.c.excerpt)
        changed = select(*columns).where(position.is_later, articles.c.changed_at < until)
        rows = connection.execute(changed.order_by(articles.c.changed_at, articles.c.id).limit(_PAGE)).all()
    if not rows:
        return 0
    terms = [(row.id, terms_of(row.title, row.excerpt)) for row in rows]
    with writing(engine) as connection:
        if not _move(connection, position, Position(rows[-1].changed_at, rows[-1].id)):
            return 0
        stored_terms.replace_terms(connection, terms)
    return len(rows)


def _move(connection: Connection, before: Position, after: Position) -> bool:
    """Move the position; return False if another process has moved it."""
    if before == BEGINNING:
        merge(connection, roll_ups, [{"name": _NAME, **before._asdict()}], ["name"])
    is_unmoved = (roll_ups.c.until == before.until) & (roll_ups.c.after_id == before.after_id)
    moved = update(roll_ups).where(roll_ups.c.name == _NAME, is_unmoved).values(after._asdict())
    return connection.execute(moved).rowcount == 1
