"""Rhythms and alarms of sources: what the roll-up writes, and what status, health, metrics and the console read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, exists, func, or_, select, update
from sqlalchemy.engine import Connection

from worker.store.sources.past_silences import add_past_silences, count_past_silences, forget_past_silences
from worker.store.sources.source_hours import ALL_SITES, EVERYTHING, Pair
from worker.store.sql.statements import merge
from worker.store.tables import source_alarms, source_hours, source_rhythms

SILENT, LOW, REJECTED = "silent", "low", "rejected"
_NAMES = 500
_RHYTHM = source_rhythms.c
_ALARM = source_alarms.c
_FALSE_ALARMS = count_past_silences(source_rhythms).label("false_alarms")
_SAME_PAIR = (_ALARM.source == _RHYTHM.source) & (_ALARM.site == _RHYTHM.site)


def to_learn(connection: Connection, limit: int) -> list[Row[Any]]:
    """Return the rhythms with an hour that they were not learnt from, whole sources first.

    Columns: source, site, last_at, last_hour, known_since, and false_alarms: how many of its alarms of silence ended.
    """
    is_due = _RHYTHM.learnt_hour.is_(None) | (_RHYTHM.learnt_hour < _RHYTHM.last_hour)
    order = (_RHYTHM.site != ALL_SITES, _RHYTHM.last_hour)
    columns = (_RHYTHM.source, _RHYTHM.site, _RHYTHM.last_at, _RHYTHM.last_hour, _RHYTHM.known_since, _FALSE_ALARMS)
    return list(connection.execute(select(*columns).where(is_due).order_by(*order).limit(limit)))


def rhythms_of(connection: Connection, sources: Iterable[str]) -> list[Row[Any]]:
    """Return the rhythms of whole sources, and whether the alarm of their rejected share is raised (`is_rejected`)."""
    is_raised = exists().where(_SAME_PAIR, _ALARM.kind == REJECTED).label("is_rejected")
    recent = (_RHYTHM.recent_documents, _RHYTHM.recent_rejected, _RHYTHM.usual_share)
    columns = (_RHYTHM.source, _RHYTHM.site, _RHYTHM.last_at, *recent, is_raised)
    names, found = sorted(sources), list[Row[Any]]()
    for start in range(0, len(names), _NAMES):
        part = _RHYTHM.source.in_(names[start : start + _NAMES])
        found += connection.execute(select(*columns).where(_RHYTHM.site == ALL_SITES, part))
    return found


def save_rhythm(connection: Connection, pair: Pair, values: dict[str, Any]) -> None:
    """Update the row of a source and a site."""
    connection.execute(update(source_rhythms).where(_is(source_rhythms, pair)).values(values))


def overdue(connection: Connection, until: datetime, limit: int) -> list[Row[Any]]:
    """Return the rhythms whose silence is an alarm at `until` and has none yet, whole sources first.

    Columns: those of the table, and false_alarms: how many of its alarms of silence ended. A site of a silent source is
    left out: the alarm of the source covers it. So does the alarm of all sources together the sources whose silence would
    be an alarm since then.
    """
    of_source = (_ALARM.source == _RHYTHM.source) & or_(_ALARM.site == _RHYTHM.site, _ALARM.site == ALL_SITES)
    of_all = _is(source_alarms, EVERYTHING) & (_ALARM.since <= _RHYTHM.silent_at)
    covered = exists().where(_ALARM.kind == SILENT, or_(of_source, of_all))
    query = select(source_rhythms, _FALSE_ALARMS).where(_RHYTHM.silent_at < until, ~covered)
    order = (~_is(source_rhythms, EVERYTHING), _RHYTHM.site != ALL_SITES, _RHYTHM.silent_at)
    return list(connection.execute(query.order_by(*order).limit(limit)))


def count_sources(connection: Connection, since: datetime) -> int:
    """Return how many sources with a rhythm have sent a document since a time."""
    known = (_RHYTHM.site == ALL_SITES, _RHYTHM.gaps > 0, _RHYTHM.last_at >= since)
    return int(connection.scalar(select(func.count()).select_from(source_rhythms).where(*known)) or 0)


def raise_alarm(
    connection: Connection, pair: Pair, kind: str, since: datetime, now: datetime, facts: dict[str, Any]
) -> None:
    """Store an alarm; one that is raised already keeps its times and gets the new facts."""
    row = {"source": pair[0], "site": pair[1], "kind": kind, "since": since, "raised_at": now, "facts": facts}
    merge(connection, source_alarms, [row], ["source", "site", "kind"], ["facts"])
    if kind == SILENT and pair[1] == ALL_SITES:
        of_sites = (_ALARM.source == pair[0], _ALARM.site != ALL_SITES, _ALARM.kind == SILENT)
        connection.execute(delete(source_alarms).where(*of_sites))
    if kind == SILENT and pair == EVERYTHING:
        since_then = (~_is(source_alarms, EVERYTHING), _ALARM.kind == SILENT, _ALARM.raised_at >= since)
        connection.execute(delete(source_alarms).where(*since_then))


def end_alarm(connection: Connection, pair: Pair, kind: str) -> None:
    """Delete an alarm, if it is raised."""
    connection.execute(delete(source_alarms).where(_is(source_alarms, pair), _ALARM.kind == kind))


def end_silences(connection: Connection) -> None:
    """End the alarms of silence of the sources and sites that sent a document since."""
    is_back = (_ALARM.kind == SILENT, _RHYTHM.last_at > _ALARM.since)
    query = select(source_alarms, _RHYTHM.last_at).join(source_rhythms, _SAME_PAIR).where(*is_back)
    for row in connection.execute(query).all():
        _end_silence(connection, row, row.last_at)


def _end_silence(connection: Connection, alarm: Row[Any], ended: datetime) -> None:
    pair = alarm.source, alarm.site
    add_past_silences(connection, [(pair, alarm.since, ended)])
    end_alarm(connection, pair, SILENT)


def forget(
    connection: Connection, now: datetime, *, alarms_before: datetime, heard_before: datetime, limit: int
) -> int:
    """Forget what is old; return how many of `limit` alarms, and of as many sources and sites, that was.

    `alarms_before`: alarms of silence raised before it end, and are not raised again until the source is back.
    `heard_before`: nothing stays of a source or site that sent nothing since.
    """
    is_old = and_(_ALARM.kind == SILENT, _ALARM.raised_at < alarms_before)
    old = connection.execute(select(source_alarms).where(is_old).limit(limit)).all()
    for alarm in old:
        save_rhythm(connection, (alarm.source, alarm.site), {"silent_at": None})
        _end_silence(connection, alarm, now)
    gone = select(_RHYTHM.source, _RHYTHM.site).where(_RHYTHM.last_at < heard_before).limit(limit)
    pairs = [(row.source, row.site) for row in connection.execute(gone)]
    for pair in pairs:
        connection.execute(delete(source_hours).where(_is(source_hours, pair)))
        connection.execute(delete(source_rhythms).where(_is(source_rhythms, pair)))
        forget_past_silences(connection, pair)
    return len(old) + len(pairs)


def read_alarms(connection: Connection, limit: int) -> list[Row[Any]]:
    """Return the alarms with the rhythm of their source and site, whole sources first, the oldest first."""
    learnt = (_RHYTHM.gaps, _RHYTHM.usual_gap, _RHYTHM.long_gap, _RHYTHM.longest_gap, _RHYTHM.weekly, _RHYTHM.lane)
    query = select(source_alarms, *learnt).join(source_rhythms, _SAME_PAIR)
    return list(connection.execute(query.order_by(_ALARM.site != ALL_SITES, _ALARM.since).limit(limit)))


def read_rhythms(
    connection: Connection, *, source: str | None = None, text: str = "", limit: int = 1000, offset: int = 0
) -> Sequence[Row[Any]]:
    """Return the rhythms of all sources, or of one source and its sites: whole sources first, then those with an alarm, then
    those heard last. `text`: only sources with this text in their name.
    """
    where = _RHYTHM.site == ALL_SITES if source is None else _RHYTHM.source == source
    query = select(source_rhythms).where(where)
    if text:
        query = query.where(_RHYTHM.source.icontains(text, autoescape=True))
    raised = select(_ALARM.source, _ALARM.site).distinct().subquery()
    query = query.outerjoin(raised, (raised.c.source == _RHYTHM.source) & (raised.c.site == _RHYTHM.site))
    order = (_RHYTHM.site != ALL_SITES, raised.c.source.is_(None), _RHYTHM.last_at.desc(), _RHYTHM.source)
    return connection.execute(query.order_by(*order).limit(limit).offset(offset)).all()


def _is(table: Any, pair: Pair) -> ColumnElement[bool]:
    return and_(table.c.source == pair[0], table.c.site == pair[1])
