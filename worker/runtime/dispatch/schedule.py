"""How many entries of each lane may be under way: its weighted share of the whole; how small a batch may be, and how often
to look for one. Pure.

All lanes go through one Celery queue, first come first served, so a lane's part of the work is its part of what is under
way. A lane without a backlog leaves its share to the others, and one with a single document finds a short queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal

from worker.settings import Lane

_GATHER_SECONDS = 5.0
_LONGEST_SECONDS = 0.01
_BEHIND_SECONDS = 0.03  # a tenth of what a batch takes, and more than one is under way for each process
_LIVELY_SECONDS = 10.0


class BatchDelay:
    """Small batches, where larger ones can be had (see dispatch.lua), go out every five seconds only: many cost far more."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._small_at: dict[str, float] = {}

    def sent_small(self, lane: str) -> None:
        """A batch that was not full has been sent."""
        self._small_at[lane] = self._clock()

    def wait_for(self, lane: str, is_behind: Callable[[], bool]) -> Literal["", "half", "full"]:
        """What is worth waiting for: never for long, whatever keeps it from coming. `is_behind`: the pool is busy."""
        if self._clock() - self._small_at.get(lane, -_GATHER_SECONDS) >= _GATHER_SECONDS:
            return ""
        return "full" if is_behind() else "half"


class PollInterval:
    """How long to wait before looking at the lanes again. A lone document waits half of that, and a look costs 0.1 ms.

    Short for a while after something was handed out, for more may come; an idle desk looks less often, and one whose pool
    has enough to do least.
    """

    def __init__(self, shortest: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shortest, self._clock = shortest, clock
        self._seconds = shortest
        self._lively_until = 0.0

    def wait(self, handed_out: int, *, is_behind: bool) -> float:
        """Seconds. `is_behind`: a lane has more than may be under way."""
        now = self._clock()
        if handed_out:
            self._lively_until = now + _LIVELY_SECONDS
        if is_behind:
            self._seconds = max(self._shortest, _BEHIND_SECONDS)
        elif now < self._lively_until:
            self._seconds = self._shortest
        else:
            self._seconds = max(self._shortest, min(self._seconds * 1.5, _LONGEST_SECONDS))
        return self._seconds


def lane_quotas(lanes: Iterable[Lane], busy: set[str], cap: int, batch: int) -> dict[str, int]:
    """Lane → how many of its entries may be pending, `cap` in all, in whole batches of `batch` and at least one each.

    `busy` names the lanes that had more waiting than they were allowed to hand out.
    """
    known = list(lanes)
    total = sum(lane.weight for lane in known if lane.name in busy)
    found = {}
    for lane in known:
        share = cap * lane.weight // (total if lane.name in busy else total + lane.weight)
        # Whole batches: a rest would travel as a small one.
        found[lane.name] = max(min(batch, cap), share // batch * batch)
    return found
