"""Rolls receipts up into counts by source and hour, learns the rhythms, and raises and ends alarms.

One process of all does it, about twice a minute, in small transactions beside the live batches.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import Engine, Row
from sqlalchemy.engine import Connection

from worker.monitoring.sources.hours import HOUR, Hour
from worker.monitoring.sources.rejections import is_alarming
from worker.monitoring.sources.rhythm import learn
from worker.monitoring.sources.standstills import Period, note_work, read_standstills
from worker.monitoring.sources.volume import volume
from worker.settings import Settings
from worker.store.clock import store_time
from worker.store.engine import writing
from worker.store.sources import source_alarms, source_hours
from worker.store.sources.past_silences import read_past_silences
from worker.store.sources.source_alarms import LOW, REJECTED, SILENT
from worker.store.sources.source_hours import EVERYTHING, Pair

RETENTION_HOURS = 1500
"""Hours with documents that are kept of each source and site: two months of a source that sends in every hour."""
_RETENTION_DAYS = 400
"""A source or site that was not heard for so long is forgotten."""
_ALARM_DAYS = 30
"""After so long an alarm of silence ends: the source is not expected back."""
MIN_SOURCES = 3
"""With fewer sources no alarm is about all of them together."""
_LEARNT_AT_ONCE = 100
_FORGOTTEN_AT_ONCE = 10
_MIN_USUAL_DOCUMENTS = 100
_NEWEST_DOCUMENTS = 200

Learnt = tuple[Pair, Row[Any], list[Row[Any]], dict[str, Any]]


def roll_up_sources(
    engine: Engine,
    config: Settings,
    waiting: Mapping[str, float] | None = None,
    *,
    paused: Mapping[tuple[str, str], float] = MappingProxyType({}),
    redis_time: datetime | None = None,
    seconds: float = 5.0,
) -> bool:
    """Do what is due, for about `seconds`; return whether all is done. Raises SQLAlchemy's errors.

    `waiting`: lane → when its oldest entry arrived that has no outcome, in seconds since 1970. What arrived on that lane
    later is not known yet, so no source of it is silent because of that. `paused`: (lane, paused source) → since when; a
    source whose documents wait is not silent. `redis_time`: receipts have Redis's time. Where that clock is behind the
    store's, newer receipts are waited for as much longer.
    """
    end = time.monotonic() + seconds
    with writing(engine) as connection:
        now = store_time(connection)
        note_work(connection, now)
    lag = max(0.0, (now - redis_time).total_seconds()) if redis_time is not None else 0.0
    is_done = False
    while not is_done:
        with writing(engine) as connection:
            done = source_hours.roll_up(connection, delay_seconds=config.commit_seconds + lag)
            _update_rejection_alarms(connection, done, config)
        is_done = done.is_done
        if time.monotonic() > end:
            return False
    with writing(engine) as connection:
        source_alarms.end_silences(connection)
    while _learn_some(engine):
        if time.monotonic() > end:
            return False
    _update_silence_alarms(engine, done.until, waiting or {}, paused)
    with writing(engine) as connection:
        now = store_time(connection)
        source_alarms.forget(
            connection,
            now,
            alarms_before=now - timedelta(days=_ALARM_DAYS),
            heard_before=now - timedelta(days=_RETENTION_DAYS),
            limit=_FORGOTTEN_AT_ONCE,
        )
    return True


def _update_rejection_alarms(connection: Connection, done: source_hours.RolledUp, config: Settings) -> None:
    now = store_time(connection)
    setting, sources = config.rejected_share, {source for source, _ in done.pairs}
    for row in source_alarms.rhythms_of(connection, sources):
        pair, usual = (row.source, row.site), row.usual_share
        documents, rejected, is_raised = row.recent_documents, row.recent_rejected, row.is_rejected
        alarming = is_alarming(documents, rejected, setting=setting, usual=usual, is_raised=is_raised)
        if not alarming and rejected > setting * documents:
            # About 50 documents do not tell 30 % from 20 %.
            documents, rejected = _newest(connection, pair)
            alarming = is_alarming(documents, rejected, setting=setting, usual=None)
        if alarming:
            facts = {"documents": round(documents), "rejected": round(rejected), "usual_share": usual}
            source_alarms.raise_alarm(connection, pair, REJECTED, row.last_at, now, facts)
        elif is_raised:
            source_alarms.end_alarm(connection, pair, REJECTED)


def _newest(connection: Connection, pair: Pair) -> tuple[int, int]:
    """Return the documents of the newest hours with 200 documents or more, and how many of them were rejected."""
    documents = rejected = 0
    for row in reversed(source_hours.hours_of(connection, pair, limit=_NEWEST_DOCUMENTS)):
        documents, rejected = documents + row.documents, rejected + row.rejected
        if documents >= _NEWEST_DOCUMENTS:
            break
    return documents, rejected


def _learn_some(engine: Engine) -> bool:
    """Learn the rhythms of some sources and sites; return whether others are due."""
    with engine.connect() as connection:
        due = source_alarms.to_learn(connection, _LEARNT_AT_ONCE)
        standstills = read_standstills(connection)
        silences = _silences_of_all(connection) if due else []
        learnt = [_learn(connection, row, standstills, silences) for row in due]
    if learnt:
        with writing(engine) as connection:
            for one in learnt:
                _save(connection, standstills, *one)
    return len(due) == _LEARNT_AT_ONCE


def _silences_of_all(connection: Connection) -> list[Period]:
    """Return when nothing came from any source although something should, oldest first."""
    return [(began.timestamp(), ended.timestamp()) for began, ended in read_past_silences(connection, EVERYTHING)]


def _learn(
    connection: Connection, row: Row[Any], standstills: Sequence[Period], silences_of_all: Sequence[Period]
) -> Learnt:
    """Read the hours of a source and a site; return the new values of its rhythm."""
    pair = row.source, row.site
    rows = source_hours.hours_of(connection, pair, limit=RETENTION_HOURS)
    # It is always worth an alarm that nothing comes at all.
    silences, false_alarms = ((), 0) if pair == EVERYTHING else (silences_of_all, row.false_alarms)
    known_since = None if row.known_since is None else row.known_since.timestamp()
    rhythm = learn(_hours(rows), standstills, silences, false_alarms, known_since)
    values: dict[str, Any] = {"learnt_hour": row.last_hour, "usual_share": _usual_share(rows, row.last_at)}
    if rhythm is None:
        values |= {"gaps": 0, "silent_at": None, "weekly": []}
    else:
        values |= {
            "gaps": rhythm.gaps,
            "usual_gap": rhythm.usual_gap,
            "long_gap": rhythm.long_gap,
            "longest_gap": rhythm.longest_gap,
            "known_since": datetime.fromtimestamp(rhythm.known_since, UTC),
            "silent_at": _moment(rhythm.silent_at(row.last_at.timestamp(), silences)),
            "weekly": [round(amount, 3) for amount in rhythm.documents],
        }
    return pair, row, rows, values


def _save(
    connection: Connection,
    standstills: Sequence[Period],
    pair: Pair,
    row: Row[Any],
    rows: list[Row[Any]],
    values: dict[str, Any],
) -> None:
    source_alarms.save_rhythm(connection, pair, values)
    if len(rows) == RETENTION_HOURS:
        source_hours.delete_hours(connection, pair, rows[0].at)
    now = store_time(connection)
    sent = volume(_hours(rows), min(now.timestamp(), row.last_at.timestamp() + HOUR), standstills)
    if sent.is_low and pair != EVERYTHING:
        facts = {"documents": sent.received, "expected": sent.poorest}
        source_alarms.raise_alarm(connection, pair, LOW, row.last_at - timedelta(days=1), now, facts)
    else:
        source_alarms.end_alarm(connection, pair, LOW)


def _update_silence_alarms(
    engine: Engine, until: datetime, waiting: Mapping[str, float], paused: Mapping[tuple[str, str], float]
) -> None:
    """Raise and end the alarms of silence.

    When nothing comes from any source, that is one alarm of all, and no source has an alarm of its own because of it.
    """

    def is_known(row: Row[Any], silent_at: datetime) -> bool:
        return silent_at.timestamp() <= _known_until(row, until, waiting, paused)

    with engine.connect() as connection:
        overdue = source_alarms.overdue(connection, until, _LEARNT_AT_ONCE)
        standstills = read_standstills(connection)
        silences = _silences_of_all(connection) if overdue else []
        checked = [
            (row, _learn(connection, row, standstills, silences)) for row in overdue if is_known(row, row.silent_at)
        ]
    silent: set[str] = set()
    all_silent_since = datetime.max.replace(tzinfo=UTC)
    with writing(engine) as connection:
        now = store_time(connection)
        is_one_of_many = source_alarms.count_sources(connection, now - timedelta(days=_ALARM_DAYS)) >= MIN_SOURCES
        for row, (pair, _, _, values) in checked:
            # Documents came since it was learnt, in the same hour.
            source_alarms.save_rhythm(connection, pair, values)
            silent_at = values["silent_at"]
            # All sources together come first, then whole sources, and each of these alarms covers those below it.
            is_covered = silent_at is not None and (row.source in silent or silent_at >= all_silent_since)
            if silent_at is None or is_covered or not is_known(row, silent_at):
                continue
            if pair != EVERYTHING:
                source_alarms.raise_alarm(connection, pair, SILENT, row.last_at, now, {})
                if not row.site:
                    silent.add(row.source)
            elif is_one_of_many:
                source_alarms.raise_alarm(connection, pair, SILENT, row.last_at, now, {})
                all_silent_since = row.last_at


def _known_until(
    row: Row[Any], until: datetime, waiting: Mapping[str, float], paused: Mapping[tuple[str, str], float]
) -> float:
    """Return up to when all that arrived from the source on its lane has its outcome."""
    since = [waiting.get(row.lane), paused.get((row.lane, row.source))]
    if (row.source, row.site) == EVERYTHING:
        since = [*waiting.values(), *paused.values()]
    return min([until.timestamp(), *(at for at in since if at is not None)])


def _hours(rows: list[Row[Any]]) -> list[Hour]:
    return [
        Hour(int(row.at.timestamp()), row.documents, row.first_at.timestamp(), row.last_at.timestamp()) for row in rows
    ]


def _usual_share(rows: list[Row[Any]], last: datetime) -> float | None:
    """Return the rejected share of the documents before the last day; None: they are too few."""
    before = [row for row in rows if row.at < last - timedelta(days=1)]
    documents = sum(row.documents for row in before)
    return sum(row.rejected for row in before) / documents if documents >= _MIN_USUAL_DOCUMENTS else None


def _moment(at: float) -> datetime | None:
    """Return a time, or None for one that is too far in the future to be stored."""
    return datetime.fromtimestamp(at, UTC) if at < 32_503_680_000 else None
