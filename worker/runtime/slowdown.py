"""Tells producers how long to wait: `copydesk:slow-down:LANE` for each lane, `copydesk:slow-down` for the worst of them.

Each worker writes them every second, from figures that all of them share; they expire, so their absence means that no
worker is alive. A worker that meets a store that cannot be used says so by `report_trouble`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from typing import Any

import redis

from worker.intake.backpressure import Load, Thresholds, slow_down
from worker.intake.stream import LeaseQueue, id_key
from worker.settings import INTERNAL_LANE, Settings

KEY = "copydesk:slow-down"
TROUBLE = "copydesk:store-trouble"
_EVERY_SECONDS = 1.0
_KEPT_SECONDS = 5  # some missed turns; short, so that its absence is news
_TROUBLE_SECONDS = 5  # longer than the pause after which a batch is tried again, so that it does not flicker


def report_trouble(client: redis.Redis) -> None:
    """The store cannot be used now; forgotten in seconds unless it is said again."""
    with contextlib.suppress(redis.RedisError):
        client.set(TROUBLE, "1", ex=_TROUBLE_SECONDS)


class SlowDown:
    """Writes the keys, once a second at most: `update` may be called as often as one likes."""

    def __init__(self, config: Settings) -> None:
        self._limits = Thresholds(
            config.slow_down_backlog, config.slow_down_age_seconds, config.slow_down_longest_seconds
        )
        self._next = 0.0

    def update(self, client: redis.Redis, queues: Iterable[LeaseQueue], *, trouble: bool = False) -> None:
        """`trouble`: this worker waits for the store. Raises redis.RedisError."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_SECONDS
        lanes = [queue for queue in queues if queue.lane != INTERNAL_LANE]
        keys = [f"{KEY}:{queue.lane}" for queue in lanes]
        found: Any = client.mget([TROUBLE, *keys])
        seconds, clock = client.time()
        now = seconds + clock / 1e6  # the server's, as the ids are
        waits = []
        for queue, before in zip(lanes, found[1:], strict=True):
            state = queue.state()
            oldest = now - id_key(state.oldest_id)[0] / 1000 if state.oldest_id else 0.0
            load = Load(state.backlog, max(oldest, 0.0), trouble=trouble or found[0] is not None)
            waits.append(slow_down(load, float(before or 0), self._limits))
        with client.pipeline(transaction=True) as pipe:
            for key, wait in zip((*keys, KEY), (*waits, max(waits, default=0.0)), strict=True):
                pipe.set(key, f"{wait:g}", ex=_KEPT_SECONDS)
            pipe.execute()
