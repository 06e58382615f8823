"""What a decision changes: rows to insert, update and delete, table by table, in the order in which they are applied."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from worker.store.decide.stored import Row, Values


class Operation(Enum):
    INSERT = "insert"
    INSERT_MISSING = "insert unless a row has the key"
    MERGE = "insert, or update the row with the key"
    RENEW = "insert, or set the version of the row with the key"
    UPDATE = "update the row with the key"
    DELETE = "delete the row with the key"


@dataclass(frozen=True, slots=True)
class Write:
    """One statement: an operation on rows of one table. `names`: the columns of `rows`; `key`: those that identify."""

    table: str
    operation: Operation
    names: tuple[str, ...]
    key: tuple[str, ...]
    rows: list[Values]


@dataclass(slots=True)
class ChangeSet:
    """The writes of one transaction. The order of the calls is the order of the statements."""

    writes: list[Write] = field(default_factory=list)
    last_ids: dict[str, int] = field(default_factory=dict)
    """Table → the highest id of its new rows."""

    def add(
        self, table: str, operation: Operation, names: Sequence[str], key: Sequence[str], rows: Iterable[Values]
    ) -> None:
        """Add a write; without rows nothing is added."""
        values = list(rows)
        if values:
            self.writes.append(Write(table, operation, tuple(names), tuple(key), values))

    def take(self) -> list[Write]:
        """Remove and return the writes so far."""
        writes, self.writes = self.writes, []
        return writes

    def add_rows(self, table: str, operation: Operation, rows: Sequence[Row], key: Sequence[str] = ()) -> None:
        """Add a write of rows that have the same columns."""
        if rows:
            names = tuple(rows[0])
            self.add(table, operation, names, key, [tuple([row[name] for name in names]) for row in rows])

    def insert(self, table: str, names: Sequence[str], rows: Sequence[Values]) -> None:
        """Insert rows with an id that was chosen, the first of these columns. None of them may exist."""
        if rows:
            ids = [id_ for row in rows if isinstance(id_ := row[0], int)]
            self.last_ids[table] = max(*ids, self.last_ids.get(table, 0))
            self.add(table, Operation.INSERT, names, (), rows)

    def update(self, table: str, names: Sequence[str], rows: Iterable[Values]) -> None:
        """Update the rows with an id, the first of these columns."""
        self.add(table, Operation.UPDATE, names, ("id",), rows)


# The kinds of background work (see `store/background/work_rows.py`): the first four have ids as subjects, the others hashes.
NAMES, ARTICLES, RETRACT, PEERS = "names", "articles", "retract", "peers"
IMAGE, TARGET = "image", "target"
_ID_WORK = ("kind", "subject_id", "cursor", "done", "total", "version", "started", "since")
_URL_WORK = ("kind", "url_hash", "cursor", "version", "started", "since")


@dataclass(slots=True)
class Work:
    """The background work that a batch leaves: subjects by kind.

    `version`: it never repeats, so a step that finds another one than it read knows that the work was added again.
    """

    ids: dict[str, set[int]] = field(default_factory=dict)
    hashes: dict[str, set[bytes]] = field(default_factory=dict)
    version: int = field(default_factory=lambda: secrets.randbits(63))

    def add(self, kind: str, ids: Iterable[int | None]) -> None:
        """Add work of one kind for each id. Ids that are None are skipped."""
        self.ids.setdefault(kind, set()).update(id_ for id_ in ids if id_ is not None)

    def add_hashes(self, kind: str, hashes: Iterable[bytes]) -> None:
        """Add work of one kind for each hash of a URL."""
        self.hashes.setdefault(kind, set()).update(hashes)

    def write(self, changes: ChangeSet, now: datetime) -> None:
        """Add the rows to `changes`. Work that is pending already is done once more after its present pass."""
        ids: list[Values] = [
            (kind, id_, 0, 0, 0, self.version, 0, now) for kind in sorted(self.ids) for id_ in sorted(self.ids[kind])
        ]
        changes.add("enrichment_work", Operation.RENEW, _ID_WORK, ("kind", "subject_id"), ids)
        hashes: list[Values] = [
            (kind, h, 0, self.version, 0, now) for kind in sorted(self.hashes) for h in sorted(self.hashes[kind])
        ]
        changes.add("url_work", Operation.RENEW, _URL_WORK, ("kind", "url_hash"), hashes)
