"""What all pages share: the configuration, the connections, cached snapshots and the sessions."""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache

import redis
from sqlalchemy import Engine

from worker.activity.minute_counters import Minute, MinuteCounters
from worker.activity.outcome_feed import OutcomeRecord, after, recent
from worker.console.access.sessions import Sessions
from worker.console.access.users import user_file
from worker.console.background_jobs import Jobs
from worker.console.refreshing_cache import RefreshingCache
from worker.documents.limits import Limits
from worker.monitoring.snapshot import read_store
from worker.monitoring.snapshot_poller import SnapshotPoller
from worker.monitoring.sources.rejection_stats import SourceStats, source_stats
from worker.monitoring.status import Snapshot, StoreStatus
from worker.queries.sources.losses import SiteLosses, losses
from worker.queue.connection import connect
from worker.settings import Settings
from worker.store.engine import make_engine

_TAIL = 5000
_CONNECTIONS = 40
"""Limit of connections to the store: two for each page that reads it, and those of the caches.

With fewer, a few pages that wait for a locked table would block all others. Two are kept open, others open when needed.
"""
_WEEK_HOURS = 7 * 24
_ANSWER_SECONDS = 3.0
"""How long Redis may take to answer. After that the pages say that it hangs."""
SPANS = (24, 24 * 7)
"""Hours that the pages of sources and of losses can look back."""
_MOST_LOSSES = 50
"""Sources and spans whose losses are kept in memory."""


class ConsoleContext:
    """Connects only when something is requested, and starts no server.

    A server that does not answer is shown as such.

    `timeout`: seconds that a page waits for a newer snapshot, before it shows the older one or that it is loading.
    """

    def __init__(
        self,
        config: Settings,
        *,
        token: str | None = None,
        client: redis.Redis | None = None,
        engine: Engine | None = None,
        timeout: float = 0.05,
    ) -> None:
        self.config = config
        self._timeout = timeout
        self.client = client or connect(config.redis, retries=0, socket_timeout=_ANSWER_SECONDS)
        self.engine = engine or make_engine(config, overflow=_CONNECTIONS - 2)
        self.sessions = Sessions(token, user_file(config))
        self.jobs = Jobs()
        self.limits = Limits(max_bytes=config.max_document_bytes)
        self.poller = SnapshotPoller(config, self.client, self.engine)
        self.redis_snapshot: RefreshingCache[Snapshot] = RefreshingCache(
            self.poller.poll_redis, seconds=1.0, timeout=timeout
        )
        self.store_status: RefreshingCache[StoreStatus] = RefreshingCache(
            lambda: read_store(self.engine, is_linking=config.link), seconds=20.0, timeout=timeout
        )
        self.hours: RefreshingCache[list[Minute]] = RefreshingCache(
            lambda: MinuteCounters(self.client).hours(_WEEK_HOURS), seconds=30.0, timeout=max(timeout, 0.5)
        )
        self.losses = lru_cache(maxsize=_MOST_LOSSES)(self._losses)
        """Returns the cached losses for hours and a source, or None for all sources."""
        self.sources = {hours: self._source_stats(hours) for hours in SPANS}

    def _source_stats(self, hours: int) -> RefreshingCache[list[SourceStats]]:
        return RefreshingCache(lambda: source_stats(self.engine, hours=hours), seconds=30.0, timeout=self._timeout)

    def _losses(self, hours: int, source: str | None) -> RefreshingCache[list[SiteLosses]]:
        def count() -> list[SiteLosses]:
            with self.engine.connect() as connection:
                return losses(connection, datetime.now(UTC) - timedelta(hours=hours), source=source)

        return RefreshingCache(count, seconds=30.0, timeout=self._timeout)

    @cached_property
    def tail(self) -> Tail:
        return Tail(self.client)

    def warm(self, seconds: float = 0.0) -> None:
        """Load what the first page shows, in the background. Wait for it, at most `seconds`."""
        end = time.monotonic() + seconds
        caches = (self.redis_snapshot, self.store_status)
        for cache in caches:
            cache.begin()
        for cache in caches:
            cache.wait(end - time.monotonic())

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self.engine.dispose()


class Tail:
    """The newest records of the outcome feed. Each poll continues where the last one ended. Thread-safe."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._records: deque[OutcomeRecord] = deque(maxlen=_TAIL)
        self._position: str | None = None

    def poll(self) -> list[OutcomeRecord]:
        """Return the last 5,000 outcomes, the newest first. Raises redis.RedisError."""
        with self._lock:
            if self._position is None:
                records, self._position = recent(self._client, _TAIL)
            else:
                records, self._position = after(self._client, self._position)
            self._records.extend(records)
            return list(reversed(self._records))
