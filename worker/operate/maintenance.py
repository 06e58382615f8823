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

from worker.operate.chores import CHORES, Chore
from worker.settings import Settings
from worker.store.clock import store_time
from worker.store.engine import enter_writer, unhurried, writer

_PAGE = 2000
"""Rows looked at in one query."""

Progress = Callable[[str, int], None]
Place = tuple[Any, ...]
"""Where a chore goes on: the time and the key of the last row that was looked at."""


def _say_nothing(_chore: str, _rows: int) -> None:
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
        unhurried(connection)
        for chore in CHORES:
            before = _before(chore, config, store_time(connection))
            counted[chore.name] = 0 if before is None else _count(connection, chore, before)
    return counted


def prune(
    engine: Engine, config: Settings, *, seconds: float | None = None, resume: str | None = None,
    progress: Progress = _say_nothing,
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
    for number, chore in enumerate(CHORES[first:], first):
        before = _before(chore, config, now)
        if before is None:
            continue
        for place, rows in _run(engine, chore, before, place if number == first else None):  # noqa: B020  it is where it went on
            removed += rows
            if rows:
                progress(chore.name, rows)
            if until is not None and time.monotonic() > until:
                return Pruned(removed, _write_resume(number, place))
    return Pruned(removed)


def _before(chore: Chore, config: Settings, now: datetime) -> datetime | None:
    days = chore.days(config)
    return None if days is None else now - timedelta(days=days)


def _count(connection: Connection, chore: Chore, before: datetime) -> int:
    query = select(func.count()).select_from(chore.table).where(chore.since < before, chore.idle(before))
    return int(connection.scalar(query) or 0)


def _run(engine: Engine, chore: Chore, before: datetime, place: Place | None) -> Iterator[tuple[Place, int]]:
    """Yields where it is, and how many rows went, after each page without any and after each transaction."""
    while True:
        page = _page(engine, chore, before, place)
        idle = [row for row in page if row[0]]
        for start in range(0, len(idle), chore.batch):
            part = idle[start : start + chore.batch]
            began = time.monotonic()
            rows = _retire(engine, chore, before, [row[2:] for row in part])
            yield part[-1][1:], rows
            time.sleep(time.monotonic() - began)
        if len(page) < _PAGE:
            return
        place = page[-1][1:]
        if not idle:
            yield place, 0


def _page(engine: Engine, chore: Chore, before: datetime, place: Place | None) -> list[tuple[Any, ...]]:
    """(whether nothing needs it, its time, *its key) of the next rows that are old enough."""
    order = (chore.since, *chore.keys)
    query = select(chore.idle(before).label("idle"), *order).where(chore.since < before)
    if place is not None:
        # The first condition is what finds the place in the index.
        query = query.where(chore.since >= place[0], tuple_(*order) > tuple_(*place, types=[c.type for c in order]))
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(*order).limit(_PAGE))]


def _retire(engine: Engine, chore: Chore, before: datetime, keys: Sequence[tuple[Any, ...]]) -> int:
    """In a turn of its own: those of `keys` that nothing needs even now."""
    with writer(engine) as connection, connection.begin():
        enter_writer(connection)
        query = select(*chore.keys).where(chore.among(keys), chore.since < before, chore.idle(before))
        # A batch locks its raw bytes before it waits for the turn: waiting for them here would be a deadlock.
        found = [tuple(row) for row in connection.execute(query.with_for_update(of=chore.table, skip_locked=True))]
        if found:
            chore.retire(connection, chore.table, found)
    return len(found)


def _write_resume(number: int, place: Place) -> str:
    moment, *key = place
    return json.dumps(
        [CHORES[number].name, moment.isoformat(), *(part.hex() if isinstance(part, bytes) else part for part in key)]
    )


def _read_resume(resume: str | None) -> tuple[int, Place | None]:
    if resume is None:
        return 0, None
    try:
        name, moment, *parts = json.loads(resume)
        number = [chore.name for chore in CHORES].index(name)
        columns = CHORES[number].keys
        key = tuple(
            bytes.fromhex(part) if isinstance(column.type, LargeBinary) else column.type.python_type(part)
            for column, part in zip(columns, parts, strict=True)
        )
        return number, (datetime.fromisoformat(moment), *key)
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError("it is no place where maintenance goes on") from error


__all__ = ["CHORES", "Pruned", "due", "prune"]
