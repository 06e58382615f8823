"""What a decision changes: rows to insert, update and delete, table by table, in the order in which they are applied."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from worker.store.decide.stored import Row, Values

# The kinds of background work (see `store/background/work_rows.py`): the first four have ids as subjects, the others hashes.
NAMES, ARTICLES, RETRACT, PEERS = "names", "articles", "retract", "peers"
IMAGE, TARGET = "image", "target"


class Operation(Enum):
    INSERT = "insert"
    INSERT_MISSING = "insert unless a row has the key"
    MERGE = "insert, or set the last column of the row with the key"
    RAISE = "insert, or raise the last column of the row with the key to the greater value"
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
    """The writes of one transaction. The order of the calls is the order of the statements.

    `last_ids`: table → the highest id of its new rows. `work`: the background work that it leaves, as kind and subject.
    """

    writes: list[Write] = field(default_factory=list)
    last_ids: dict[str, int] = field(default_factory=dict)
    work: set[tuple[str, int | bytes]] = field(default_factory=set)

    def add(
        self, table: str, operation: Operation, names: Sequence[str], key: Sequence[str], rows: Iterable[Values]
    ) -> None:
        """Add a write; without rows nothing is added."""
        values = list(rows)
        if values:
            self.writes.append(Write(table, operation, tuple(names), tuple(key), values))

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

    def add_work(self, kind: str, subjects: Iterable[int | bytes | None]) -> None:
        """Add work of one kind for each subject. Subjects that are None are skipped."""
        self.work.update((kind, subject) for subject in subjects if subject is not None)

    def write_work(self, now: datetime) -> None:
        """Add the rows of the work. What is pending already is done once more after its present pass.

        Their version never repeats, so a step that finds another one than it read knows that the work was added again.
        """
        version = secrets.randbits(63)
        ids = sorted((kind, subject) for kind, subject in self.work if isinstance(subject, int))
        hashes = sorted((kind, subject) for kind, subject in self.work if isinstance(subject, bytes))
        names = ("kind", "subject_id", "cursor", "done", "total", "started", "since", "version")
        rows = [(*work, 0, 0, 0, 0, now, version) for work in ids]
        self.add("enrichment_work", Operation.MERGE, names, names[:2], rows)
        url_names = ("kind", "url_hash", "cursor", "started", "since", "version")
        self.add(
            "url_work", Operation.MERGE, url_names, url_names[:2], [(*work, 0, 0, now, version) for work in hashes]
        )

    def take(self) -> list[Write]:
        """Remove and return the writes so far."""
        writes, self.writes = self.writes, []
        return writes
