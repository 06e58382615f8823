"""Tells producers how long to wait: `copydesk:slow-down:LANE` for a lane, `copydesk:slow-down` for the worst one.

Each worker writes the keys every two seconds, from counts that all of them share. The keys expire; if they are absent,
no worker is alive.
"""

from __future__ import annotations

from collections.abc import Iterable

import redis

from worker.activity.backpressure import Load, Thresholds, slow_down
from worker.producer.submission import seconds_of
from worker.queue import keys
from worker.queue.clock import server_time
from worker.queue.lease_queue import LeaseQueue, id_key
from worker.queue.replies import suppress_wrong_type
from worker.queue.urgent_writes import write_when_full
from worker.settings import INTERNAL_LANE, Settings

_EXPIRE_SECONDS = 8  # some missed heartbeats; short, so that its absence is noticed soon
_TROUBLE_SECONDS = 5  # more than two heartbeats, so that it does not flicker


class SlowDown:
    """Writes the keys at each `update`, which `AdmissionControl` calls at each heartbeat."""

    def __init__(self, config: Settings, client: redis.Redis) -> None:
        self._client = client
        self._limits = Thresholds(
            config.slow_down_backlog, config.slow_down_age_seconds, config.slow_down_longest_seconds
        )

    def update(self, queues: Iterable[LeaseQueue], *, trouble: bool = False) -> None:
        """Write the keys. Raises redis.RedisError.

        `trouble`: this worker cannot take documents. All workers then ask producers to wait, for five seconds.
        """
        lanes = [queue for queue in queues if queue.lane != INTERNAL_LANE]
        by_lane = [keys.slow_down(queue.lane) for queue in lanes]
        if trouble:
            write_when_full(self._client, "SET", keys.STORE_TROUBLE, "1", "EX", _TROUBLE_SECONDS)
        store_trouble, *earlier = self._client.mget([keys.STORE_TROUBLE, *by_lane])
        now = server_time(self._client)  # the clock that also made the ids
        if store_trouble is not None:  # another program may have set it without an expiry
            self._client.expire(keys.STORE_TROUBLE, _TROUBLE_SECONDS, lt=True)
        waits = []
        for queue, before in zip(lanes, earlier, strict=True):
            wait = 0.0  # to a lane that is no stream nobody can add anything, and producers of the others continue
            with suppress_wrong_type():
                state = queue.counts()
                oldest = now - id_key(state.oldest_id)[0] / 1000 if state.oldest_id else 0.0
                load = Load(state.waiting, max(oldest, 0.0), trouble=store_trouble is not None)
                wait = slow_down(load, seconds_of([before]), self._limits)
            waits.append(wait)
        with self._client.pipeline(transaction=True) as pipe:
            for key, wait in zip((*by_lane, keys.SLOW_DOWN), (*waits, max(waits, default=0.0)), strict=True):
                write_when_full(pipe, "SET", key, f"{wait:g}", "EX", _EXPIRE_SECONDS)
            pipe.execute()
