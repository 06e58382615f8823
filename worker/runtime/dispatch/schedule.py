"""How many entries of each lane may be pending, how small a batch may be, and how often to poll. No I/O.

All lanes share one Celery queue in the order of arrival, so a lane's share of the work is its share of the pending
entries. A lane without a backlog leaves its share to the others, and a lane with a single document finds a short queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal

from worker.settings import Lane

_GATHER_SECONDS = 5.0
_LONGEST_SECONDS = 0.01
_BEHIND_SECONDS = 0.03  # a tenth of what a batch takes; each process has more than one pending
_ACTIVE_SECONDS = 10.0


class BatchDelay:
    """Sends a small batch of a lane at most every five seconds while larger ones can be formed (see dispatch.lua).

    Many small batches cost far more than a few full ones.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._small_at: dict[str, float] = {}

    def record_small_batch(self, lane: str) -> None:
        """Record that a batch that was not full was sent."""
        self._small_at[lane] = self._clock()

    def batch_size_to_wait_for(self, lane: str, is_behind: Callable[[], bool]) -> Literal["", "half", "full"]:
        """Return what to wait for: "" (nothing), "half" a batch or a "full" one.

        dispatch.lua waits only while earlier entries are pending. `is_behind` returns whether all pool processes are
        busy.
        """
        if self._clock() - self._small_at.get(lane, -_GATHER_SECONDS) >= _GATHER_SECONDS:
            return ""
        return "full" if is_behind() else "half"


class PollInterval:
    """How long to wait before the lanes are polled again. A single document waits half of that; a poll costs 0.1 ms.

    The interval is short for a while after something was dispatched, because more may follow. It grows while nothing
    comes, and it is longest while the pool has enough to do.
    """

    def __init__(self, shortest: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shortest, self._clock = shortest, clock
        self._seconds = shortest
        self._active_until = 0.0

    def wait(self, dispatched: int, *, is_behind: bool) -> float:
        """Return the seconds to wait. `is_behind`: a lane has more entries than may be pending."""
        now = self._clock()
        if dispatched:
            self._active_until = now + _ACTIVE_SECONDS
        if is_behind:
            self._seconds = max(self._shortest, _BEHIND_SECONDS)
        elif now < self._active_until:
            self._seconds = self._shortest
        else:
            self._seconds = max(self._shortest, min(self._seconds * 1.5, _LONGEST_SECONDS))
        return self._seconds


def lane_quotas(lanes: Iterable[Lane], busy: set[str], cap: int, batch: int) -> dict[str, int]:
    """Return lane → how many of its entries may be pending: `cap` in all, in whole batches of `batch`, at least one
    each.

    `busy`: the lanes that had more entries waiting than they were allowed to dispatch.
    """
    known = list(lanes)
    total = sum(lane.weight for lane in known if lane.name in busy)
    quotas = {}
    for lane in known:
        share = cap * lane.weight // (total if lane.name in busy else total + lane.weight)
        # Whole batches: a remainder would be sent as a small batch.
        quotas[lane.name] = max(min(batch, cap), share // batch * batch)
    return quotas
