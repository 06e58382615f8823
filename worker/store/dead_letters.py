"""Dead letters: documents that were rejected, kept whole until somebody mends or discards them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, Text, cast, false, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from schemas.problem import Severity
from worker.store.clock import store_time
from worker.store.decide.batch_item import BatchItem
from worker.store.sql.statements import fetch, merge
from worker.store.tables import dead_letter_actions, dead_letters, raw_documents

_LARGEST_ID = 2**63
_LONGEST_TEXT = 4000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters; every part that is set must hold."""

    ids: tuple[int, ...] = ()
    source: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    status: str | None = "open"
    upto: int | None = None

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
            # SQLite takes patterns up to 50,000 bytes; nothing that long is looked for.
            query = query.where(or_(*named) if len(self.text) <= _LONGEST_TEXT else false())
        return query


def groups(connection: Connection, wanted: Filter) -> list[Row[Any]]:
    """Dead letters by cause: (code, source, count, first, last, example), most frequent first."""
    table = dead_letters.c
    count = func.count().label("count")
    query = select(
        table.code, table.source, count, func.min(table.created_at).label("first"), func.max(table.created_at).label("last"),
        func.max(table.id).label("example"),
    ).group_by(table.code, table.source).order_by(count.desc(), table.code, table.source)  # fmt: skip
    return list(connection.execute(wanted.where(query)))


def find(connection: Connection, wanted: Filter, *, after: int = 0, most: int = 500) -> list[Row[Any]]:
    """A page of dead letters in the order in which they came, those after id `after`."""
    query = wanted.where(select(dead_letters)).where(dead_letters.c.id > after).order_by(dead_letters.c.id).limit(most)
    return list(connection.execute(query))


def count(connection: Connection, wanted: Filter) -> int:
    """How many there are."""
    return int(connection.scalar(wanted.where(select(func.count()).select_from(dead_letters))) or 0)


def highest(connection: Connection, wanted: Filter) -> int:
    """The number of the one that came last; 0: there is none."""
    return int(connection.scalar(wanted.where(select(func.max(dead_letters.c.id)))) or 0)


def raw_of(connection: Connection, digests: Iterable[bytes | None]) -> dict[bytes, Row[Any]]:
    """SHA-256 → (size, bytes) of raw documents."""
    columns = (raw_documents.c.sha256, raw_documents.c.size, raw_documents.c.bytes)
    return {row.sha256: row for row in fetch(connection, columns, raw_documents.c.sha256, {d for d in digests if d})}


def actions_of(connection: Connection, id_: int) -> list[Row[Any]]:
    """Who did what to a dead letter, and when."""
    table = dead_letter_actions
    return list(connection.execute(select(table).where(table.c.dead_letter_id == id_).order_by(table.c.id)))


def record(
    connection: Connection, id_: int, action: str, who: str, *, reason: str | None = None, sha256: bytes | None = None
) -> None:
    """Note who did what."""
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
    """Close an open dead letter for good; what was sent stays readable until it expires. False: it is closed already."""
    table = dead_letters.c
    closed = update(dead_letters).where(table.id == id_, table.status == "open").values(status="discarded")
    if not connection.execute(closed).rowcount:
        return False
    record(connection, id_, "discarded", who, reason=reason)
    return True


def keep_edit(connection: Connection, seen: Row[Any], raw: bytes, who: str) -> bool:
    """Make a mended text the one that is replayed. False: the dead letter is not (any more) as it was `seen`; it is not changed.

    Of two who edit the same dead letter at once, one is told False, on both databases.
    """
    sha256 = hashlib.sha256(raw).digest()
    table = dead_letters.c
    unchanged = (table.id == seen.id, table.status == "open", table.edits == seen.edits,
                 table.raw_sha256.is_not_distinct_from(seen.raw_sha256))  # fmt: skip
    row = {"sha256": sha256, "size": len(raw), "bytes": raw, "last_seen_at": store_time(connection)}
    # Before the dead letter, as a batch does it: in another order the two could wait for each other. Seen now, or maintenance
    # might take bytes that were there already before this is committed.
    merge(connection, raw_documents, [row], ["sha256"], ["last_seen_at"])
    values = {"raw_sha256": sha256, "edits": table.edits + 1}
    if not connection.execute(update(dead_letters).where(*unchanged).values(values)).rowcount:
        return False
    record(connection, seen.id, "edited", who, sha256=sha256)
    return True


def keep_dead(connection: Connection, versions: list[BatchItem], now: datetime) -> None:
    """Keep what was rejected, to be mended and replayed."""
    rows = [
        {
            "lane": version.lane,
            "receipt_id": version.id,
            "op": version.op,
            "source": version.source,
            "key": version.key,
            "revision": version.revision,
            "raw_sha256": version.sha256,
            "code": _code(version),
            "problems": problems_of(version),
            "status": "open",
            "edits": 0,
            "created_at": now,
        }
        for version in versions
        if version.dead_letter is None
    ]
    merge(connection, dead_letters, rows, ["lane", "receipt_id"])


def conclude_replays(connection: Connection, versions: list[BatchItem], worker: str, now: datetime) -> None:
    """A dead letter that passes is done; one that fails again stays open, with what is wrong with it now."""
    replays = [version for version in versions if version.dead_letter is not None]
    table = dead_letters
    # One that was replayed twice may have been closed by the first, and removed as long closed before the second came.
    there = {row.id for row in fetch(connection, (table.c.id,), table.c.id, [v.dead_letter for v in replays])}
    for version in replays:
        if version.dead_letter not in there:
            continue
        dead_letter = update(dead_letters).where(dead_letters.c.id == version.dead_letter)
        if version.rejected:
            connection.execute(dead_letter.values(status="open", code=_code(version), problems=problems_of(version)))
        else:
            connection.execute(dead_letter.values(status="replayed"))
        action = {
            "action": "failed" if version.rejected else "passed",
            "who": worker,
            "at": now,
            "reason": str(version.outcome),
        }
        connection.execute(
            insert(dead_letter_actions).values(dead_letter_id=version.dead_letter, raw_sha256=version.sha256, **action)
        )


def _code(version: BatchItem) -> str:
    return next(problem.code for problem in version.problems if problem.severity is Severity.ERROR)


def problems_of(version: BatchItem) -> list[dict[str, Any]]:
    """A version's problems as the store keeps them."""
    return [problem.model_dump(mode="json") for problem in version.problems]
