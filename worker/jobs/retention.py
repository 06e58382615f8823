"""Delete expired rows in small transactions beside live batches, so that the store does not grow forever.

Rows are read in the order of their age, a page at a time and without the writer lock, so that no query scans a whole
table. Rows that nothing needs are checked again by key in a short transaction under the writer lock, and deleted.
After each such transaction the job sleeps as long as it took, so that other writers have the lock for at least half
of the time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Engine, LargeBinary, func, select, tuple_
from sqlalchemy.engine import Connection

from worker.jobs.retention_rules import RETENTION_RULES, RetentionRule
from worker.settings import Settings
from worker.store.clock import store_time
from worker.store.columns import UtcDateTime
from worker.store.engine import enter_writer, without_statement_timeout, writer

_PAGE = 2000
"""Rows that one query reads at most."""

Progress = Callable[[str, int], None]
Place = tuple[Any, ...]
"""Where a rule continues: the values of `RetentionRule.order` in the last row that was checked."""


def _no_progress(_rule: str, _rows: int) -> None:
    return


@dataclass(frozen=True, slots=True)
class Pruned:
    """The result of `prune`. `rows`: how many were deleted.

    `resume`: pass it to `prune` to continue; None: all is done.
    """

    rows: int
    resume: str | None = None


def due(engine: Engine, config: Settings) -> dict[str, int]:
    """Return rule name → how many rows it would delete now.

    It scans whole tables: minutes with hundreds of millions of rows.
    """
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
    """Apply all rules, for about `seconds` at most (None: to the end).

    `progress(rule, rows)` is called after each transaction. The job can be stopped at any time, and several processes
    may run it at once. It takes the writer lock for each transaction. Raises SQLAlchemy's errors, and ValueError if
    `resume` was not returned by `prune`.
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
    query = select(func.count()).select_from(rule.table).where(rule.expired(before), rule.idle(before))
    return int(connection.scalar(query) or 0)


def _run(engine: Engine, rule: RetentionRule, before: datetime, place: Place | None) -> Iterator[tuple[Place, int]]:
    """Apply one rule; yields (place, rows deleted) after each transaction and each full page without expired rows."""
    while True:
        page = _page(engine, rule, before, place)
        idle = [row for row in page if row[0]]
        for start in range(0, len(idle), rule.batch):
            part = idle[start : start + rule.batch]
            began = time.monotonic()
            rows = _delete(engine, rule, before, [row[-len(rule.keys) :] for row in part])
            yield part[-1][1:], rows
            time.sleep(time.monotonic() - began)
        if len(page) < _PAGE:
            return
        place = page[-1][1:]
        if not idle:
            yield place, 0


def _page(engine: Engine, rule: RetentionRule, before: datetime, place: Place | None) -> list[tuple[Any, ...]]:
    """Return (whether nothing needs it, *its values of `rule.order`) of the next rows that are old enough."""
    order = rule.order
    query = select(rule.idle(before).label("idle"), *order).where(rule.expired(before))
    if place is not None:
        # The database uses only the first condition to find the place in the index.
        query = query.where(order[0] >= place[0], tuple_(*order) > tuple_(*place, types=[c.type for c in order]))
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(*order).limit(_PAGE))]


def _delete(engine: Engine, rule: RetentionRule, before: datetime, keys: Sequence[tuple[Any, ...]]) -> int:
    """Delete those of `keys` that are still unused, in a transaction under the writer lock; returns how many."""
    with writer(engine) as connection, connection.begin():
        enter_writer(connection)
        query = select(*rule.keys).where(rule.among(keys), rule.expired(before), rule.idle(before))
        # A batch locks its raw bytes before it waits for the writer lock: waiting for these rows here would be a
        # deadlock.
        found = [tuple(row) for row in connection.execute(query.with_for_update(of=rule.table, skip_locked=True))]
        if found:
            rule.retire(connection, rule.table, found)
    return len(found)


def _write_resume(number: int, place: Place) -> str:
    return json.dumps([RETENTION_RULES[number].name, *map(_part_out, place)])


def _part_out(part: Any) -> Any:
    if isinstance(part, datetime):
        return part.isoformat()
    return part.hex() if isinstance(part, bytes) else part


def _part_in(part: Any, column: Column[Any]) -> Any:
    if isinstance(column.type, UtcDateTime):
        return datetime.fromisoformat(part)
    return bytes.fromhex(part) if isinstance(column.type, LargeBinary) else column.type.python_type(part)


def _read_resume(resume: str | None) -> tuple[int, Place | None]:
    if resume is None:
        return 0, None
    try:
        name, *parts = json.loads(resume)
        number = [rule.name for rule in RETENTION_RULES].index(name)
        columns = RETENTION_RULES[number].order
        return number, tuple(_part_in(part, column) for part, column in zip(parts, columns, strict=True))
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError("it is no place where maintenance goes on") from error


__all__ = ["RETENTION_RULES", "Pruned", "due", "prune"]
