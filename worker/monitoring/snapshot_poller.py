"""Polls the snapshot, for the live view and the console."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import redis
from sqlalchemy import Engine

from worker.activity.minute_counters import Minute
from worker.monitoring.snapshot import Recent, measure, of_redis, of_store
from worker.queue.connection import connect
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.telemetry.logs import mask

_STORE_EVERY_SECONDS = 20.0
"""Interval of the store's row counts; Redis is read at each poll."""

_RATE_SECONDS = 10.0
"""The period over which rates are computed."""


class SnapshotPoller:
    """Polls both servers.

    It reports a server that does not answer, and tries it again at the next poll. Not thread-safe.
    """

    def __init__(self, config: Settings, client: redis.Redis | None = None, engine: Engine | None = None) -> None:
        self._config = config
        self._client = client or connect(config.redis, retries=0)
        self._recent = Recent(self._client)
        self._engine = engine or make_engine(config)
        self._store: dict[str, Any] = {}
        self._next_store = 0.0
        self._before: deque[tuple[float, list[dict[str, Any]]]] = deque()

    @property
    def minutes(self) -> Sequence[Minute]:
        """The cached minutes of the last day, oldest first; empty before the first successful poll of Redis."""
        return self._recent.known

    def poll(self) -> dict[str, Any]:
        """Return the snapshot. The counts of the store are up to 20 seconds old."""
        found = self.at_redis()
        if time.monotonic() >= self._next_store:
            self._store = of_store(self._engine)
            self._next_store = time.monotonic() + (_STORE_EVERY_SECONDS if self._store["database"]["ok"] else 2.0)
        return {**found, **self._store}

    def at_redis(self) -> dict[str, Any]:
        """Return the part of the snapshot that comes from Redis; only `redis`, with its error, if Redis is
        unreachable.
        """
        try:
            found = of_redis(self._config, self._client, self._recent)
        except (redis.RedisError, OSError) as error:
            return {"redis": {"ok": False, "error": mask(str(error))}}
        self._measure(found["lanes"])
        return found

    def _measure(self, lanes: list[dict[str, Any]]) -> None:
        now = time.monotonic()
        while len(self._before) > 1 and self._before[1][0] < now - _RATE_SECONDS:
            self._before.popleft()
        if self._before:
            measure(lanes, self._before[0][1], now - self._before[0][0])
        self._before.append((now, lanes))
