"""Dead letters: documents that were rejected, kept whole until somebody mends or discards them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, Select, Text, cast, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from schemas.problem import Severity
from worker.store.bulk import fetch, merge
from worker.store.tables import dead_letter_actions, dead_letters, raw_documents
from worker.store.version import Version


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
            query = query.where(table.id.in_(self.ids))
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
            # Escaped: SQLite needs minutes for a pattern of many `%`.
            places = (cast(table.problems, Text), table.key, table.receipt_id)
            query = query.where(or_(*(place.icontains(self.text, autoescape=True) for place in places)))
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
        "at": datetime.now(UTC),
        "reason": reason,
        "raw_sha256": sha256,
    }
    connection.execute(insert(dead_letter_actions).values(**values))


def discard(connection: Connection, id_: int, who: str, reason: str) -> None:
    """Close a dead letter for good; what was sent stays readable until it expires."""
    connection.execute(update(dead_letters).where(dead_letters.c.id == id_).values(status="discarded"))
    record(connection, id_, "discarded", who, reason=reason)


def keep_edit(connection: Connection, id_: int, raw: bytes, sha256: bytes, who: str) -> None:
    """Make a mended text the one that is replayed."""
    row = {"sha256": sha256, "size": len(raw), "bytes": raw, "last_seen_at": datetime.now(UTC)}
    # Seen now, or maintenance might take bytes that were there already before this is committed.
    merge(connection, raw_documents, [row], ["sha256"], ["last_seen_at"])
    values = {"raw_sha256": sha256, "edits": dead_letters.c.edits + 1}
    connection.execute(update(dead_letters).where(dead_letters.c.id == id_).values(values))
    record(connection, id_, "edited", who, sha256=sha256)


def keep_dead(connection: Connection, versions: list[Version], now: datetime) -> None:
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


def conclude_replays(connection: Connection, versions: list[Version], worker: str, now: datetime) -> None:
    """A dead letter that passes is done; one that fails again stays open, with what is wrong with it now."""
    replays = [version for version in versions if version.dead_letter is not None]
    table = dead_letters
    # One that was replayed twice may have been closed by the first, and removed as long closed before the second came.
    there = {row.id for row in fetch(connection, (table.c.id,), table.c.id, [v.dead_letter for v in replays])}
    for version in replays:
        if version.dead_letter not in there:
            continue
        letter = update(dead_letters).where(dead_letters.c.id == version.dead_letter)
        if version.rejected:
            connection.execute(letter.values(status="open", code=_code(version), problems=problems_of(version)))
        else:
            connection.execute(letter.values(status="replayed"))
        action = {
            "action": "failed" if version.rejected else "passed",
            "who": worker,
            "at": now,
            "reason": str(version.outcome),
        }
        connection.execute(
            insert(dead_letter_actions).values(dead_letter_id=version.dead_letter, raw_sha256=version.sha256, **action)
        )


def _code(version: Version) -> str:
    return next(problem.code for problem in version.problems if problem.severity is Severity.ERROR)


def problems_of(version: Version) -> list[dict[str, Any]]:
    """A version's problems as the store keeps them."""
    return [problem.model_dump(mode="json") for problem in version.problems]
