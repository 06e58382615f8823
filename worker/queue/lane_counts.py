"""How many entries a lane has, in which state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class LaneCounts(NamedTuple):
    """A lane's counts at one moment. `oldest_id` is None if the lane is empty or the id is too costly to read."""

    added: int
    backlog: int
    pending: int
    oldest_id: str | None


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane at one moment; `added == settled + backlog + aside` unless somebody else trimmed or deleted entries."""

    name: str
    added: int
    backlog: int
    pending: int
    oldest_id: str | None
    last_id: str
    outcomes: dict[str, int]
    aside: int = 0
    """Entries that an interrupted repair must still add again."""

    @property
    def settled(self) -> int:
        return sum(self.outcomes.values())
