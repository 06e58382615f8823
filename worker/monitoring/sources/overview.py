"""What each source sends: when it was last heard, its usual gap, and what was expected and received today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, Row

from worker.monitoring.sources.alarm import SourceAlarm
from worker.monitoring.sources.standstills import Period, read_standstills
from worker.monitoring.sources.stored_alarms import expected, read_source_alarms
from worker.store.sources import source_alarms, source_hours

_MOST = 1000


@dataclass(frozen=True, slots=True)
class SourceOverview:
    """A source, or a site of it. `usual_gap` is in seconds and None where there are too few gaps, as `expected_today` is.

    Today begins at 00:00 UTC. Both counts of today are those until now, as far as they are rolled up.
    """

    source: str
    site: str
    lane: str
    last_at: datetime
    usual_gap: float | None
    received_today: int
    expected_today: int | None
    recent_share: float | None
    """The rejected share of its newest documents, about 50; None for a site: rejected documents belong to none."""
    alarms: list[SourceAlarm] = field(default_factory=list)


def overview(
    engine: Engine, *, source: str | None = None, text: str = "", limit: int = _MOST, offset: int = 0
) -> list[SourceOverview]:
    """Return all sources, or one source and its sites: those with alarms first, then those heard last.

    `text`: only sources with this text in their name. Raises SQLAlchemy's errors.
    """
    with engine.connect() as connection:
        until = source_hours.rolled_up_until(connection) or datetime.now(UTC)
        midnight = until.replace(hour=0, minute=0, second=0, microsecond=0)
        rows = source_alarms.read_rhythms(connection, source=source, text=text, limit=limit, offset=offset)
        standstills = read_standstills(connection)
        today = source_hours.received_since(connection, midnight, source=source)
        alarms: dict[tuple[str, str], list[SourceAlarm]] = {}
        for alarm in read_source_alarms(connection):
            alarms.setdefault((alarm.source, alarm.site), []).append(alarm)
    found = [
        _overview(
            row,
            today.get((row.source, row.site), 0),
            alarms.get((row.source, row.site), []),
            midnight,
            until,
            standstills,
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: (one.site != "", not one.alarms))


def _overview(
    row: Row[Any],
    received: int,
    alarms: list[SourceAlarm],
    midnight: datetime,
    until: datetime,
    standstills: Sequence[Period],
) -> SourceOverview:
    return SourceOverview(
        source=row.source,
        site=row.site,
        lane=row.lane,
        last_at=row.last_at,
        usual_gap=row.usual_gap if row.gaps else None,
        received_today=received,
        expected_today=expected(row.weekly, midnight.timestamp(), until.timestamp(), standstills),
        recent_share=None if row.site or not row.recent_documents else row.recent_rejected / row.recent_documents,
        alarms=alarms,
    )
