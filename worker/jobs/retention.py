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
from typing import Any, NamedTuple, cast

from sqlalchemy import Column, Engine, LargeBinary, func, select, tuple_
from sqlalchemy.engine import Connection

from worker.jobs.retention_rules import RETENTION_RULES, Key, RetentionRule
from worker.settings import Settings
from worker.store.clock import store_time
from worker.store.columns import UtcDateTime
from worker.store.engine import enter_writer, without_statement_timeout, writer

_PAGE = 2000
"""Rows that one query reads at most."""

Progress = Callable[[str, int], None]
Position = tuple[datetime | str | int | bytes, ...]
"""Where a rule continues: the values of `RetentionRule.order` in the last row that was checked."""


class _Row(NamedTuple):
    is_unused: bool
    position: Position


def _no_progress(_rule: str, _rows: int) -> None:
    return


@dataclass(frozen=True, slots=True)
class Pruned:
    """The result of `prune`. `rows`: how many were deleted.

    `resume`: pass it to `prune` to continue; None: all is done.
    """

    rows: int
    resume: str | None = None


def count_expired(engine: Engine, config: Settings) -> dict[str, int]:
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
    engine: Engine,
    config: Settings,
    *,
    seconds: float | None = None,
    resume: str | None = None,
    progress: Progress = _no_progress,
) -> Pruned:
    """Apply all rules, for about `seconds` at most (None: to the end).

    `progress(rule, rows)` is called after each transaction. The job can be stopped at any time, and several processes
    may run it at once. It takes the writer lock for each transaction. Raises SQLAlchemy's errors, and ValueError if
    `resume` was not returned by `prune`.
    """
    until = None if seconds is None else time.monotonic() + seconds
    first, position = _read_resume(resume)
    with engine.connect() as connection:
        now = store_time(connection)
    removed = 0
    for number, rule in enumerate(RETENTION_RULES[first:], first):
        before = _before(rule, config, now)
        if before is None:
            continue
        begin = position if number == first else None
        for position, rows in _run(engine, rule, before, begin):
            removed += rows
            if rows:
                progress(rule.name, rows)
            if until is not None and time.monotonic() > until:
                return Pruned(removed, _write_resume(number, position))
    return Pruned(removed)


def _before(rule: RetentionRule, config: Settings, now: datetime) -> datetime | None:
    """Return the time before which rows expire; None: never. So many days that they precede the year 1 mean never."""
    days = rule.days(config)
    if days is None:
        return None
    try:
        return now - timedelta(days=days)
    except OverflowError:
        return None


def _count(connection: Connection, rule: RetentionRule, before: datetime) -> int:
    query = select(func.count()).select_from(rule.table).where(rule.expired(before), rule.is_unused(before))
    return int(connection.scalar(query) or 0)


def _run(
    engine: Engine, rule: RetentionRule, before: datetime, position: Position | None
) -> Iterator[tuple[Position, int]]:
    """Apply one rule; yields (position, rows deleted) after each transaction and each full page without expired rows."""
    while True:
        page = _page(engine, rule, before, position)
        unused = [row.position for row in page if row.is_unused]
        for start in range(0, len(unused), rule.batch):
            part = unused[start : start + rule.batch]
            began = time.monotonic()
            rows = _delete(engine, rule, before, [_key(rule, row) for row in part])
            yield part[-1], rows
            time.sleep(time.monotonic() - began)
        if len(page) < _PAGE:
            return
        position = page[-1].position
        if not unused:
            yield position, 0


def _key(rule: RetentionRule, position: Position) -> Key:
    return cast("Key", position[-len(rule.keys) :])


def _page(engine: Engine, rule: RetentionRule, before: datetime, position: Position | None) -> list[_Row]:
    """Return the next rows that are old enough."""
    order = rule.order
    query = select(rule.is_unused(before).label("is_unused"), *order).where(rule.expired(before))
    if position is not None:
        last = tuple_(*position, types=[column.type for column in order])
        # The database uses only the first condition to find the position in the index.
        query = query.where(order[0] >= position[0], tuple_(*order) > last)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(*order).limit(_PAGE))
        return [_Row(is_unused, tuple(position)) for is_unused, *position in rows]


def _delete(engine: Engine, rule: RetentionRule, before: datetime, keys: Sequence[Key]) -> int:
    """Delete those of `keys` that are still unused, in a transaction under the writer lock; returns how many."""
    with writer(engine) as connection, connection.begin():
        enter_writer(connection)
        query = select(*rule.keys).where(rule.among(keys), rule.expired(before), rule.is_unused(before))
        # A batch locks its raw bytes before it waits for the writer lock: waiting for these rows here would be a
        # deadlock.
        unused = [tuple(row) for row in connection.execute(query.with_for_update(of=rule.table, skip_locked=True))]
        if unused:
            rule.delete(connection, rule.table, unused)
    return len(unused)


def _write_resume(number: int, position: Position) -> str:
    return json.dumps([RETENTION_RULES[number].name, *map(_part_out, position)])


def _part_out(part: datetime | str | int | bytes) -> str | int:
    if isinstance(part, datetime):
        return part.isoformat()
    return part.hex() if isinstance(part, bytes) else part


def _part_in(part: str, column: Column[Any]) -> datetime | str | int | bytes:
    if isinstance(column.type, UtcDateTime):
        return datetime.fromisoformat(part)
    return bytes.fromhex(part) if isinstance(column.type, LargeBinary) else column.type.python_type(part)


def _read_resume(resume: str | None) -> tuple[int, Position | None]:
    if resume is None:
        return 0, None
    try:
        name, *parts = json.loads(resume)
        number = [rule.name for rule in RETENTION_RULES].index(name)
        columns = RETENTION_RULES[number].order
        return number, tuple(_part_in(part, column) for part, column in zip(parts, columns, strict=True))
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError("it is no position that `prune` returned") from error


__all__ = ["RETENTION_RULES", "Pruned", "count_expired", "prune"]
