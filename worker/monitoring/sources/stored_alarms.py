"""Reads the alarms of sources that the roll-up stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.engine import Connection

from worker.monitoring.sources.alarm import SourceAlarm
from worker.monitoring.sources.operational_clock import OperationalClock
from worker.monitoring.sources.standstills import Period, read_standstills
from worker.store.clock import store_time
from worker.store.sources import source_alarms

_MOST = 200


def read_source_alarms(connection: Connection) -> tuple[SourceAlarm, ...]:
    """Return the alarms, at most 200. Raises SQLAlchemy's errors."""
    now, standstills = store_time(connection).timestamp(), read_standstills(connection)
    return tuple(_alarm(row, now, standstills) for row in source_alarms.read_alarms(connection, _MOST))


def _alarm(row: Row[Any], now: float, standstills: Sequence[Period]) -> SourceAlarm:
    since = row.since.timestamp()
    if row.kind != source_alarms.SILENT:
        return SourceAlarm(kind=row.kind, source=row.source, site=row.site, since=since, **row.facts)
    return SourceAlarm(
        kind="silent",
        source=row.source,
        site=row.site,
        since=since,
        documents=expected(row.weekly, since, now, standstills),
        usual_gap=row.usual_gap,
        long_gap=row.long_gap,
        longest_gap=row.longest_gap,
        gaps=row.gaps,
    )


def expected(weekly: list[float], since: float, until: float, standstills: Sequence[Period]) -> int | None:
    """Return the documents that are expected in a period; None: too little is known."""
    if not weekly:
        return None
    return max(0, round(OperationalClock(weekly, standstills).between(since, until)))
