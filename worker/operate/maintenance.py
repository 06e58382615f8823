"""What keeps the store from growing for ever, in small transactions beside live work.

Nothing here takes what decisions of the future rest on: tombstones, the raw bytes of live documents and of open dead
letters, and articles that somebody tells or names stay for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Table, delete, exists, func, select, tuple_
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.settings import Settings
from worker.store.engine import enter_writer, writer
from worker.store.tables import articles, dead_letters, documents, links, raw_documents, receipts

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Chore:
    """Rows of one table that nothing needs any more. `days`: how long they stay; `idle(before)`: which they are."""

    name: str
    meaning: str
    table: Table
    days: Callable[[Settings], float]
    idle: Callable[[datetime], ColumnElement[bool]]

    def due(self, connection: Connection, config: Settings) -> int:
        """How many rows would be removed now."""
        query = select(func.count()).select_from(self.table).where(self.idle(self._before(config)))
        return int(connection.scalar(query) or 0)

    def run(self, engine: Engine, config: Settings) -> Iterator[int]:
        """Remove them in transactions of at most 500 rows; yields how many went in each."""
        idle = self.idle(self._before(config))
        keys = list(self.table.primary_key.columns)
        while True:
            with writer(engine) as connection, connection.begin():
                enter_writer(connection)
                found = connection.execute(select(*keys).where(idle).order_by(*keys).limit(_BATCH)).all()
                if found:
                    wanted: list[Any] = [tuple(row) for row in found]
                    connection.execute(delete(self.table).where(tuple_(*keys).in_(wanted)))
            if not found:
                return
            yield len(found)

    def _before(self, config: Settings) -> datetime:
        return datetime.now(UTC) - timedelta(days=self.days(config))


def _idle_raw(before: datetime) -> ColumnElement[bool]:
    # A batch that brings the same bytes again moves `last_seen_at` in its own transaction, so what it needs stays.
    needed = exists().where(documents.c.raw_sha256 == raw_documents.c.sha256, ~documents.c.retracted)
    wanted = exists().where(dead_letters.c.raw_sha256 == raw_documents.c.sha256, dead_letters.c.status == "open")
    return (raw_documents.c.last_seen_at < before) & ~needed & ~wanted


def _idle_receipts(before: datetime) -> ColumnElement[bool]:
    about = (dead_letters.c.lane == receipts.c.lane) & (dead_letters.c.receipt_id == receipts.c.id)
    return (receipts.c.settled_at < before) & ~exists().where(about, dead_letters.c.status == "open")


def _idle_letters(before: datetime) -> ColumnElement[bool]:
    return (dead_letters.c.created_at < before) & (dead_letters.c.status != "open")


def _idle_orphans(before: datetime) -> ColumnElement[bool]:
    told = exists().where(documents.c.article_hash == articles.c.url_hash, ~documents.c.retracted)
    named = exists().where(links.c.target_id == articles.c.id)
    return (articles.c.orphaned_at < before) & ~told & ~named


CHORES = (
    Chore("receipts", "receipts of documents settled long ago, but for those of open dead letters", receipts,
          lambda config: config.receipt_days, _idle_receipts),
    Chore("dead letters", "dead letters that were replayed or discarded", dead_letters,
          lambda config: config.receipt_days, _idle_letters),
    Chore("raw documents", "raw bytes that no live document and no open dead letter needs", raw_documents,
          lambda config: config.raw_days, _idle_raw),
    Chore("orphans", "articles that nobody tells or names any more", articles,
          lambda config: config.orphan_days, _idle_orphans),
)  # fmt: skip


def due(engine: Engine, config: Settings) -> dict[str, int]:
    """How many rows each chore would remove now."""
    with engine.connect() as connection:
        return {chore.name: chore.due(connection, config) for chore in CHORES}


def prune(engine: Engine, config: Settings, *, progress: Callable[[str, int], None] = lambda _name, _rows: None) -> int:
    """Do all chores; returns how many rows went. `progress(chore, rows)` is called after every transaction."""
    removed = 0
    for chore in CHORES:
        for rows in chore.run(engine, config):
            removed += rows
            progress(chore.name, rows)
    return removed
