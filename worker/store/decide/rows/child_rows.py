"""Compare the stored child rows of articles (aliases, images, topics, links) with the wanted ones. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.store.decide.change_set import ChangeSet, Operation
from worker.store.decide.stored import CHILD_KEYS, CHILD_VALUES, Key, Values


@dataclass(slots=True)
class Difference:
    """What changes in one child table. The rows hold the columns of the key, then the values."""

    table: str
    added: list[Values] = field(default_factory=list)
    changed: list[Values] = field(default_factory=list)
    removed: list[Values] = field(default_factory=list)

    def compare(self, article_id: int, before: Mapping[Key, Values], wanted: Mapping[Key, Values]) -> None:
        """Add the difference between the stored and the wanted child rows of one article."""
        for key, values in wanted.items():
            stored = before.get(key)
            if stored is None:
                self.added.append((article_id, *key, *values))
            elif stored != values:
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
