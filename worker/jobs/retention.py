"""Keeps the store from growing for ever, in small transactions beside live work.

Rows are looked through in the order of their age, outside the writers' turn and a page at a time, so that no query reads
a whole table. Only what is found to be idle is looked at again, by its key, inside a short turn, and goes. Between two
turns it rests as long as the last one took, so that other writers have at least half of the time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, LargeBinary, func, select, tuple_
from sqlalchemy.engine import Connection

from worker.jobs.retention_rules import RETENTION_RULES, RetentionRule
from worker.settings import Settings
from worker.store.clock import store_time
from worker.store.engine import enter_writer, without_statement_timeout, writer

_PAGE = 2000
"""Rows looked at in one query."""

Progress = Callable[[str, int], None]
Place = tuple[Any, ...]
"""Where a chore goes on: the time and the key of the last row that was looked at."""


def _no_progress(_rule: str, _rows: int) -> None:
    return


@dataclass(frozen=True, slots=True)
class Pruned:
    """`rows`: how many went. `resume`: what to give to `prune` to go on; None: all was looked at."""

    rows: int
    resume: str | None = None


def due(engine: Engine, config: Settings) -> dict[str, int]:
    """How many rows each chore would remove now. Reads whole tables: minutes at hundreds of millions of rows."""
    counted = {}
    with engine.connect() as connection:
        without_statement_timeout(connection)
        for rule in RETENTION_RULES:
            before = _before(rule, config, store_time(connection))
            counted[rule.name] = 0 if before is None else _count(connection, rule, before)
    return counted


def prune(
    engine: Engine, config: Settings, *, seconds: float | None = None, resume: str | None = None,
    progress: Progress = _no_progress,
) -> Pruned:  # fmt: skip
    """Do all chores, or as much of them as `seconds` allow; `progress(chore, rows)` is called after every transaction.

    It may be ended at any time, and be run by several at once. Raises SQLAlchemy's errors, and ValueError where `resume`
    is none of ours.
    """
    until = None if seconds is None else time.monotonic() + seconds
    first, place = _read_resume(resume)
    with engine.connect() as connection:
        now = store_time(connection)
    removed = 0
    for number, rule in enumerate(RETENTION_RULES[first:], first):
        before = _before(rule, config, now)
        if before is None:
            continue
        for place, rows in _run(engine, rule, before, place if number == first else None):  # noqa: B020  it is where it went on
            removed += rows
            if rows:
                progress(rule.name, rows)
            if until is not None and time.monotonic() > until:
                return Pruned(removed, _write_resume(number, place))
    return Pruned(removed)


def _before(rule: RetentionRule, config: Settings, now: datetime) -> datetime | None:
    days = rule.days(config)
    return None if days is None else now - timedelta(days=days)


def _count(connection: Connection, rule: RetentionRule, before: datetime) -> int:
    query = select(func.count()).select_from(rule.table).where(rule.since < before, rule.idle(before))
    return int(connection.scalar(query) or 0)


def _run(engine: Engine, rule: RetentionRule, before: datetime, place: Place | None) -> Iterator[tuple[Place, int]]:
    """Yields where it is, and how many rows went, after each page without any and after each transaction."""
    while True:
        page = _page(engine, rule, before, place)
        idle = [row for row in page if row[0]]
        for start in range(0, len(idle), rule.batch):
            part = idle[start : start + rule.batch]
            began = time.monotonic()
            rows = _delete(engine, rule, before, [row[2:] for row in part])
            yield part[-1][1:], rows
            time.sleep(time.monotonic() - began)
        if len(page) < _PAGE:
            return
        place = page[-1][1:]
        if not idle:
            yield place, 0


def _page(engine: Engine, rule: RetentionRule, before: datetime, place: Place | None) -> list[tuple[Any, ...]]:
    """(whether nothing needs it, its time, *its key) of the next rows that are old enough."""
    order = (rule.since, *rule.keys)
    query = select(rule.idle(before).label("idle"), *order).where(rule.since < before)
    if place is not None:
        # The first condition is what finds the place in the index.
        query = query.where(rule.since >= place[0], tuple_(*order) > tuple_(*place, types=[c.type for c in order]))
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(*order).limit(_PAGE))]


def _delete(engine: Engine, rule: RetentionRule, before: datetime, keys: Sequence[tuple[Any, ...]]) -> int:
    """In a turn of its own: those of `keys` that nothing needs even now."""
    with writer(engine) as connection, connection.begin():
        enter_writer(connection)
        query = select(*rule.keys).where(rule.among(keys), rule.since < before, rule.idle(before))
        # A batch locks its raw bytes before it waits for the turn: waiting for them here would be a deadlock.
        found = [tuple(row) for row in connection.execute(query.with_for_update(of=rule.table, skip_locked=True))]
        if found:
            rule.retire(connection, rule.table, found)
    return len(found)


def _write_resume(number: int, place: Place) -> str:
    moment, *key = place
    return json.dumps(
        [
            RETENTION_RULES[number].name,
            moment.isoformat(),
            *(part.hex() if isinstance(part, bytes) else part for part in key),
        ]
    )


def _read_resume(resume: str | None) -> tuple[int, Place | None]:
    if resume is None:
        return 0, None
    try:
        name, moment, *parts = json.loads(resume)
        number = [rule.name for rule in RETENTION_RULES].index(name)
        columns = RETENTION_RULES[number].keys
        key = tuple(
            bytes.fromhex(part) if isinstance(column.type, LargeBinary) else column.type.python_type(part)
            for column, part in zip(columns, parts, strict=True)
        )
        return number, (datetime.fromisoformat(moment), *key)
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError("it is no place where maintenance goes on") from error


__all__ = ["RETENTION_RULES", "Pruned", "due", "prune"]
