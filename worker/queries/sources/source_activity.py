"""What one source sent: its trend, its slowest documents, and its newest rejected ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Row, select
from sqlalchemy.engine import Connection

from worker.queries.rows import RowDict, rows
from worker.settings import INTERNAL_LANE
from worker.store.sources.past_silences import newest_silences
from worker.store.sources.source_hours import ALL_SITES, hours_of
from worker.store.tables import dead_letters, receipts

_PIECE_HOURS = 2
_PIECES = 84
_NEWEST = 20_000
"""The newest receipts of all sources among which the slowest are looked for, so that the query reads no more."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The documents of two hours. `at`: when they begin."""

    at: datetime
    documents: int
    rejected: int


@dataclass(frozen=True, slots=True)
class SourceActivity:
    """The last week in pieces of two hours, oldest first, and at most ten documents of each list.

    `silences`: the newest silences that ended, of the source and of its sites (site, began, ended).
    """

    pieces: Sequence[Piece]
    silences: Sequence[Row[tuple[str, datetime, datetime]]]
    slowest: Sequence[RowDict]
    rejected: Sequence[RowDict]


def source_activity(connection: Connection, source: str, *, now: datetime, limit: int = 10) -> SourceActivity:
    """Return the activity of a source. Raises SQLAlchemy's errors."""
    width = timedelta(hours=_PIECE_HOURS)
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    begin = end - width * _PIECES
    counts: dict[int, tuple[int, int]] = {}
    for row in hours_of(connection, (source, ALL_SITES), limit=_PIECES * _PIECE_HOURS, since=begin):
        number = (row.at - begin) // width
        documents, rejected = counts.get(number, (0, 0))
        counts[number] = documents + row.documents, rejected + row.rejected
    pieces = [Piece(begin + width * number, *counts.get(number, (0, 0))) for number in range(_PIECES)]
    silences = newest_silences(connection, source, limit)
    return SourceActivity(pieces, silences, _slowest(connection, source, limit), _rejected(connection, source, limit))


def _slowest(connection: Connection, source: str, limit: int) -> list[RowDict]:
    columns = (receipts.c.id, receipts.c.lane, receipts.c.source, receipts.c.url, receipts.c.key, receipts.c.outcome)
    times = (receipts.c.received_at, receipts.c.settled_at)
    newest = select(*columns, *times).order_by(receipts.c.settled_at.desc()).limit(_NEWEST).subquery()
    mine = select(newest).where(newest.c.source == source, newest.c.lane != INTERNAL_LANE)
    found = rows(connection, mine)
    for row in found:
        row["seconds"] = max(0.0, (row["settled_at"] - row["received_at"]).total_seconds())
    return sorted(found, key=lambda row: -row["seconds"])[:limit]


def _rejected(connection: Connection, source: str, limit: int) -> list[RowDict]:
    table = dead_letters.c
    query = select(table.id, table.code, table.key, table.created_at).where(table.source == source)
    return rows(connection, query.where(table.status == "open").order_by(table.created_at.desc()).limit(limit))
