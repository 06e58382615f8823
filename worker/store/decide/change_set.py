"""What a decision changes: rows to insert, update and delete, table by table, in the order in which they are applied."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from worker.store.decide.stored import CHILD_KEYS, CHILD_VALUES, Key, Row, Values

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
    rows: Sequence[Values]


@dataclass(slots=True)
class ChangeSet:
    """The writes of one transaction. The order of the calls is the order of the statements.

    `last_ids`: table → the highest id of its new rows. `work`: the background work that it leaves, as kind and subject.
    """

    writes: list[Write] = field(default_factory=list)
    last_ids: dict[str, int] = field(default_factory=dict)
    work: set[tuple[str, int | bytes]] = field(default_factory=set)

    def add(
        self, table: str, operation: Operation, names: Sequence[str], key: Sequence[str], rows: Sequence[Values]
    ) -> None:
        """Add a write; without rows nothing is added."""
        if rows:
            self.writes.append(Write(table, operation, tuple(names), tuple(key), rows))

    def add_rows(self, table: str, operation: Operation, rows: Sequence[Row], key: Sequence[str] = ()) -> None:
        """Add a write of rows that have the same columns."""
        names = tuple(rows[0]) if rows else ()
        self.add(table, operation, names, key, [tuple([row[name] for name in names]) for row in rows])

    def insert(self, table: str, names: Sequence[str], rows: Sequence[Values]) -> None:
        """Insert rows with an id that was chosen, the first of these columns. None of them may exist."""
        if rows:
            self.last_ids[table] = max(
                self.last_ids.get(table, 0), *(id_ for row in rows if isinstance(id_ := row[0], int))
            )
        self.add(table, Operation.INSERT, names, (), rows)

    def update(self, table: str, names: Sequence[str], rows: Sequence[Values]) -> None:
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
        for table, subject, type_, counters in (
            ("enrichment_work", "subject_id", int, ("cursor", "started", "done", "total")),
            ("url_work", "url_hash", bytes, ("cursor", "started")),
        ):
            work = sorted(one for one in self.work if isinstance(one[1], type_))
            rows = [(*one, now, *[0] * len(counters), version) for one in work]
            self.add(table, Operation.MERGE, ("kind", subject, "since", *counters, "version"), ("kind", subject), rows)

    def take(self) -> list[Write]:
        """Remove and return the writes so far."""
        writes, self.writes = self.writes, []
        return writes


@dataclass(slots=True)
class ChildChanges:
    """What changes in one child table (aliases, images, topics, links of articles). The rows hold its key, then its values."""

    table: str
    added: list[Values] = field(default_factory=list)
    changed: list[Values] = field(default_factory=list)
    removed: list[Values] = field(default_factory=list)

    def compare(self, article_id: int, before: Mapping[Key, Values], wanted: Mapping[Key, Values]) -> None:
        """Add the difference between the stored and the wanted child rows of one article."""
        for key, values in wanted.items():
            if key not in before:
                self.added.append((article_id, *key, *values))
            elif before[key] != values:
                self.changed.append((article_id, *key, *values))
        self.removed += [(article_id, *key) for key in before if key not in wanted]

    def write(self, changes: ChangeSet, targets: Mapping[bytes, int | None]) -> None:
        """Add the writes. `targets`: url_hash → id of the article to which a new link points."""
        key, names = CHILD_KEYS[self.table], (*CHILD_KEYS[self.table], *CHILD_VALUES[self.table])
        changes.add(self.table, Operation.DELETE, key, key, self.removed)
        if self.table == "links":
            added = [(*row, targets[row[2]]) for row in self.added]  # type: ignore[index]  # the target_hash
            changes.add(self.table, Operation.INSERT, (*names, "target_id"), key, added)
        else:
            changes.add(self.table, Operation.INSERT, names, key, self.added)
        changes.add(self.table, Operation.UPDATE, names, key, self.changed)
