"""Rejections by source and time, counted from the receipts of a period through their index on `settled_at`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Integer, Row, case, extract, func, select
from sqlalchemy.engine import Connection

from worker.settings import INTERNAL_LANE
from worker.store.tables import dead_letters, receipts

_REJECTED = func.sum(case((receipts.c.outcome == "rejected", 1), else_=0))


def by_source_and_time(
    connection: Connection,
    since: datetime,
    width_seconds: int,
    *,
    until: datetime | None = None,
    source: str | None = None,
) -> list[Row[Any]]:
    """Return (source, at, documents, rejected) for each interval of `width_seconds`, in the order of time.

    `at`: the beginning of the interval in seconds since 1970. The internal lane does not count.
    """
    epoch = extract("epoch", receipts.c.settled_at)
    at = func.floor(epoch / width_seconds) if connection.dialect.name == "postgresql" else epoch.op("/")(width_seconds)
    piece = (at * width_seconds).cast(Integer).label("at")
    query = (
        select(receipts.c.source, piece, func.count().label("documents"), _REJECTED.label("rejected"))
        .where(receipts.c.settled_at >= since, receipts.c.lane != INTERNAL_LANE)
        .group_by(receipts.c.source, piece)
        .order_by(piece)
    )
    if until is not None:
        query = query.where(receipts.c.settled_at < until)
    if source is not None:
        query = query.where(receipts.c.source == source)
    return list(connection.execute(query))


def first_rejected(connection: Connection, source: str, start: float, seconds: int) -> datetime | None:
    """Return when the first document of `source` was rejected within `seconds` from `start`, or None.

    `start`: seconds since 1970. The internal lane does not count.
    """
    after, before = (datetime.fromtimestamp(moment, UTC) for moment in (start, start + seconds))
    found: datetime | None = connection.scalar(
        select(func.min(receipts.c.settled_at, type_=receipts.c.settled_at.type)).where(
            receipts.c.settled_at >= after,
            receipts.c.settled_at < before,
            receipts.c.source == source,
            receipts.c.outcome == "rejected",
            receipts.c.lane != INTERNAL_LANE,
        )
    )
    return found


def causes(connection: Connection, since: datetime) -> list[Row[Any]]:
    """Return (source, code, documents, first, last, example) of the dead letters since a time, most frequent first.

    Closed dead letters count too. `example` is the id of a dead letter.
    """
    table = dead_letters.c
    count = func.count().label("documents")
    first, last = (
        function(table.created_at, type_=table.created_at.type).label(name)
        for function, name in ((func.min, "first"), (func.max, "last"))
    )
    query = (
        select(table.source, table.code, count, first, last, func.max(table.id).label("example"))
        .where(table.created_at >= since)
        .group_by(table.source, table.code)
        .order_by(count.desc(), table.code)
    )
    return list(connection.execute(query))
