"""Polls the snapshot, for the live view and the console."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import redis
from sqlalchemy import Engine

from worker.activity.minute_counters import Minute
from worker.monitoring.servers.server_state import redis_status, unreachable_redis
from worker.monitoring.snapshot import MinuteCache, read_queue, read_store, with_rates
from worker.monitoring.status import QueueStatus, Snapshot, StoreStatus
from worker.queue.connection import connect
from worker.settings import Settings
from worker.store.engine import make_engine

_STORE_EVERY_SECONDS = 20.0
"""Interval of the store's row counts; Redis is read at each poll."""
_RETRY_STORE_SECONDS = 2.0
"""The same while the store is unreachable."""
_RATE_SECONDS = 10.0
"""The period over which rates are computed."""


class SnapshotPoller:
    """Polls both servers.

    It reports a server that does not answer, and tries it again at the next poll. Not thread-safe.
    """

    def __init__(self, config: Settings, client: redis.Redis | None = None, engine: Engine | None = None) -> None:
        self._config = config
        self._client = client or connect(config.redis, retries=0)
        self._cache = MinuteCache(self._client)
        self._engine = engine or make_engine(config)
        self._store: StoreStatus | None = None
        self._next_store = 0.0
        self._earlier: deque[tuple[float, QueueStatus]] = deque()

    @property
    def minutes(self) -> Sequence[Minute]:
        """The cached minutes of the last day, oldest first; empty before the first successful poll of Redis."""
        return self._cache.minutes

    def poll(self) -> Snapshot:
        """Return the snapshot. The counts of the store are up to 20 seconds old."""
        snapshot = self.poll_redis()
        if time.monotonic() >= self._next_store:
            self._store = read_store(self._engine, is_linking=self._config.link)
            wait = _STORE_EVERY_SECONDS if self._store.database.ok else _RETRY_STORE_SECONDS
            self._next_store = time.monotonic() + wait
        return replace(snapshot, store=self._store)

    def poll_redis(self) -> Snapshot:
        """Return a snapshot without the store; without `queue` if Redis is unreachable."""
        try:
            queue = read_queue(self._config, self._client, self._cache)
        except (redis.RedisError, OSError) as error:
            return Snapshot(redis=unreachable_redis(self._config.redis, error))
        return Snapshot(self._with_rates(queue), redis_status(self._client, self._config.redis))

    def _with_rates(self, queue: QueueStatus) -> QueueStatus:
        now = time.monotonic()
        while len(self._earlier) > 1 and self._earlier[1][0] < now - _RATE_SECONDS:
            self._earlier.popleft()
        if self._earlier:
            at, before = self._earlier[0]
            queue = with_rates(queue, before, now - at)
        self._earlier.append((now, queue))
        return queue
