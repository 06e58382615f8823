"""Computes how long a polite producer should wait before it sends more. No I/O.

Documents on a lane are safe. A backlog costs only Redis memory and the time until readers see the news. So producers
are slowed down only when the workers are clearly behind, and the delay grows with the backlog.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """A lane at one moment: entries in the backlog, the oldest one's age in seconds, whether the store is unusable."""

    backlog: int
    oldest: float
    trouble: bool = False


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The backlog (entries) and the age (seconds) at which slowing down begins, and the longest delay (seconds).

    Slowing down ends at half of these values, so that it does not begin again at once. Raises ValueError unless all are
    above 0.
    """

    backlog: int
    oldest: float
    longest: float

    def __post_init__(self) -> None:
        if min(self.backlog, self.oldest, self.longest) <= 0:
            raise ValueError("thresholds are above 0")


TROUBLE_SECONDS = 5.0
"""The shortest delay while the store cannot be used: a faster producer gains nothing until the store is back."""


def slow_down(load: Load, before: float, limits: Thresholds) -> float:
    """Return how many seconds a producer should wait: 0, or a number that grows with the load up to `limits.longest`.

    `before` is the last result for this lane, in seconds. A higher load never gives a shorter delay.
    """
    strain = max(load.backlog / limits.backlog, load.oldest / limits.oldest if load.backlog else 0.0)
    if load.trouble:
        return float(min(max(TROUBLE_SECONDS, math.ceil(strain)), limits.longest))
    if strain >= 1:
        return float(min(math.ceil(strain), limits.longest))
    return 1.0 if before > 0 and strain > 0.5 else 0.0
