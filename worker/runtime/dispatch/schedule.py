"""How many entries of each lane may be pending, how small a batch may be, and how often to poll. No I/O.

All lanes share one Celery queue in the order of arrival, so a lane's share of the work is its share of the pending
entries. A lane without a backlog leaves its share to the others, and a lane with a single document finds a short queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from worker.settings import Lane

_GATHER_SECONDS = 5.0
_WATCHING_SECONDS = 0.1
_NOT_WATCHING_SECONDS = 0.01
_BEHIND_SECONDS = 0.03  # a tenth of what a batch takes; each process has more than one pending


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


class PollWait(NamedTuple):
    """Seconds to wait before the lanes are polled again: `at_least`, and `at_most` if no change is announced before."""

    at_least: float
    at_most: float


def poll_wait(shortest: float, *, is_behind: bool, is_watching: bool) -> PollWait:
    """Return the wait after a poll. A poll takes 0.1 ms of CPU a lane.

    `is_behind`: a lane has more entries than may be pending, so the pool has enough to do. `is_watching`: the server
    announces new entries, so a poll at intervals only finds what was not announced.
    """
    if is_behind:
        return PollWait(max(shortest, _BEHIND_SECONDS), max(shortest, _BEHIND_SECONDS))
    return PollWait(shortest, max(shortest, _WATCHING_SECONDS if is_watching else _NOT_WATCHING_SECONDS))


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
