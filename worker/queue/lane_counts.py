"""How many entries a lane has, in which state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple


class LaneCounts(NamedTuple):
    """A lane's counts at one moment. `oldest_id` is None if nothing waits or the id is too costly to read. It tells when the
    oldest entry arrived, and is not its own id where that is ahead of time or new since a repair.

    `paused`: paused source → its entries. They are part of `backlog`, but not of `pending`, and none is `oldest_id`.
    """

    added: int
    backlog: int
    pending: int
    oldest_id: str | None
    paused: Mapping[str, int] = MappingProxyType({})

    @property
    def waiting(self) -> int:
        """The backlog without the entries of paused sources."""
        return max(0, self.backlog - sum(self.paused.values()))


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane at one moment; `added == settled + backlog + aside` unless somebody else trimmed or deleted entries."""

    name: str
    added: int
    backlog: int
    pending: int
    oldest_id: str | None
    """As in `LaneCounts`."""
    last_id: str
    outcomes: dict[str, int]
    aside: int = 0
    """Entries that an interrupted repair must still add again."""
    paused: Mapping[str, int] = field(default_factory=dict)
    """Paused source → its entries. They are part of `backlog`, but not of `pending`, and none is `oldest_id`."""

    @property
    def settled(self) -> int:
        return sum(self.outcomes.values())
