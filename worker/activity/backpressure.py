"""How long a polite producer should wait before it sends more. Pure.

Documents on a lane are safe and in nobody's way; what a backlog costs is Redis memory and the time until readers see the
news. So producers are slowed down only when the workers are clearly behind, and gently at first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """A lane at one moment. `oldest` is the age of its oldest entry in seconds; `trouble`: the store cannot be used."""

    backlog: int
    oldest: float
    trouble: bool = False


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where slowing down begins. It ends at half of these, so that it does not begin again at once."""

    backlog: int
    oldest: float
    longest: float

    def __post_init__(self) -> None:
        if min(self.backlog, self.oldest, self.longest) <= 0:
            raise ValueError("thresholds are above 0")


TROUBLE_SECONDS = 5.0
"""A store that is away for a moment: nothing is gained by sending faster than it comes back."""


def slow_down(load: Load, before: float, limits: Thresholds) -> float:
    """Seconds to wait: 0, or a whole number that grows with the load. `before` is what was asked for last.

    Monotone in the load, and never more than `limits.longest`.
    """
    strain = max(load.backlog / limits.backlog, load.oldest / limits.oldest if load.backlog else 0.0)
    if load.trouble:
        return float(min(max(TROUBLE_SECONDS, math.ceil(strain)), limits.longest))
    if strain >= 1:
        return float(min(math.ceil(strain), limits.longest))
    return 1.0 if before > 0 and strain > 0.5 else 0.0
