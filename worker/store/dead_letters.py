"""Dead letters: rejected documents, kept whole until somebody replays or discards them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, Text, cast, false, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from worker.store.clock import store_time
from worker.store.sql.statements import fetch, merge
from worker.store.tables import dead_letter_actions, dead_letters, raw_documents

_LARGEST_ID = 2**63
_LONGEST_TEXT = 4000


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of dead letters; all parts that are set must match.

    `since` is inclusive and `until` exclusive; both compare the time of rejection. `text` is searched in problems,
    key and receipt id, without regard to case. `upto`: the highest id. `status` None: any.
    """

    ids: tuple[int, ...] = ()
    source: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    status: str | None = "open"
    upto: int | None = None

    def described(self, count: int) -> str:
        """Return how many dead letters and which ones, for the log of actions."""
        named = [f"{name} {value}" for name, value in (("source", self.source), ("code", self.code)) if value]
        numbers = ", ".join(map(str, self.ids[:10])) + (", …" if len(self.ids) > 10 else "")
        return "; ".join([f"{count:,} dead letters", *([f"numbers {numbers}"] if self.ids else []), *named])

    def where(self, query: Select[Any]) -> Select[Any]:
        table = dead_letters.c
        if self.ids:
            query = query.where(table.id.in_([id_ for id_ in self.ids if abs(id_) < _LARGEST_ID]))
        for column, value in ((table.source, self.source), (table.code, self.code), (table.status, self.status)):
            if value is not None:
                query = query.where(column == value)
        if self.since is not None:
            query = query.where(table.created_at >= self.since)
        if self.until is not None:
            query = query.where(table.created_at < self.until)
        if self.upto is not None:
            query = query.where(table.id <= self.upto)
        if self.text:
            where = (cast(table.problems, Text), table.key, table.receipt_id)
            named = [column.icontains(self.text, autoescape=True) for column in where]
            # SQLite accepts patterns up to 50,000 bytes. A longer text than `_LONGEST_TEXT` matches nothing.
            query = query.where(or_(*named) if len(self.text) <= _LONGEST_TEXT else false())
        return query


def groups(connection: Connection, wanted: Filter) -> list[Row[Any]]:
    """Group dead letters by cause: (code, source, count, first, last, example), most frequent first.

    `example` is an id.
    """
    table = dead_letters.c
    count = func.count().label("count")
    query = select(
        table.code, table.source, count, func.min(table.created_at).label("first"), func.max(table.created_at).label("last"),
        func.max(table.id).label("example"),
    ).group_by(table.code, table.source).order_by(count.desc(), table.code, table.source)  # fmt: skip
    return list(connection.execute(wanted.where(query)))


def find(connection: Connection, wanted: Filter, *, after: int = 0, most: int = 500) -> list[Row[Any]]:
    """Return at most `most` dead letters with an id above `after`, in the order of their ids."""
    query = wanted.where(select(dead_letters)).where(dead_letters.c.id > after).order_by(dead_letters.c.id).limit(most)
    return list(connection.execute(query))


def neighbours(connection: Connection, wanted: Filter, id_: int) -> tuple[int | None, int | None]:
    """Return the ids of the dead letters before and after an id among those that match; None: there is none."""
    before = wanted.where(select(func.max(dead_letters.c.id))).where(dead_letters.c.id < id_)
    after = wanted.where(select(func.min(dead_letters.c.id))).where(dead_letters.c.id > id_)
    return connection.scalar(before), connection.scalar(after)


def count(connection: Connection, wanted: Filter) -> int:
    """Return how many dead letters match."""
    return int(connection.scalar(wanted.where(select(func.count()).select_from(dead_letters))) or 0)


def highest(connection: Connection, wanted: Filter) -> int:
    """Return the highest id of the dead letters that match; 0: there is none."""
    return int(connection.scalar(wanted.where(select(func.max(dead_letters.c.id)))) or 0)


def raw_of(connection: Connection, digests: Iterable[bytes | None]) -> dict[bytes, Row[Any]]:
    """Return SHA-256 → row (sha256, size, bytes) of raw documents."""
    columns = (raw_documents.c.sha256, raw_documents.c.size, raw_documents.c.bytes)
    return {row.sha256: row for row in fetch(connection, columns, raw_documents.c.sha256, {d for d in digests if d})}


def actions_of(connection: Connection, id_: int) -> list[Row[Any]]:
    """Return the recorded actions on a dead letter, oldest first."""
    table = dead_letter_actions
    return list(connection.execute(select(table).where(table.c.dead_letter_id == id_).order_by(table.c.id)))


def record(
    connection: Connection, id_: int, action: str, who: str, *, reason: str | None = None, sha256: bytes | None = None
) -> None:
    """Record an action of `who` on a dead letter. `sha256`: of the text that was edited or sent."""
    values = {
        "dead_letter_id": id_,
        "action": action,
        "who": who,
        "at": store_time(connection),
        "reason": reason,
        "raw_sha256": sha256,
    }
    connection.execute(insert(dead_letter_actions).values(**values))


def discard(connection: Connection, id_: int, who: str, reason: str) -> bool:
    """Close an open dead letter permanently; returns False if it is not open.

    Its document stays readable until it expires.
    """
    table = dead_letters.c
    closed = update(dead_letters).where(table.id == id_, table.status == "open").values(status="discarded")
    if not connection.execute(closed).rowcount:
        return False
    record(connection, id_, "discarded", who, reason=reason)
    return True


def keep_edit(connection: Connection, seen: Row[Any], raw: bytes, who: str) -> bool:
    """Store an edited text as the one that is replayed.

    Returns False, without a change, if the dead letter is no longer as `seen`. If two operators edit the same dead
    letter at once, one gets False, on both databases.
    """
    sha256 = hashlib.sha256(raw).digest()
    table = dead_letters.c
    unchanged = (table.id == seen.id, table.status == "open", table.edits == seen.edits,
                 table.raw_sha256.is_not_distinct_from(seen.raw_sha256))  # fmt: skip
    row = {"sha256": sha256, "size": len(raw), "bytes": raw, "last_seen_at": store_time(connection)}
    # Raw bytes are written before the dead letter, as in a batch: in another order the two could deadlock.
    # `last_seen_at` is updated, or retention could delete bytes that exist already before this transaction commits.
    merge(connection, raw_documents, [row], ["sha256"], ["last_seen_at"])
    values = {"raw_sha256": sha256, "edits": table.edits + 1}
    if not connection.execute(update(dead_letters).where(*unchanged).values(values)).rowcount:
        return False
    record(connection, seen.id, "edited", who, sha256=sha256)
    return True
