"""The Redis server's clock, from which entry ids are made.

A process's own clock may be wrong by days, so no stored value depends on it.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import redis

from worker.queue.replies import text

Clock = Callable[[], datetime]

AHEAD_SECONDS = 300
"""Ids that are this far ahead of the server's time, in seconds, tell no arrival. The server makes one only if a producer
chose an id before it, or if its clock was set back. The time is for small corrections of the clock, and for a
replica whose clock differs a little.
"""

_MAX_SECONDS = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


def moment(value: str | bytes | float) -> float:
    """Parse seconds since 1970 that another program wrote into Redis.

    Raises ValueError or TypeError unless the value is a finite number from 1970 to 9998.
    """
    seconds = float(value)
    if not (math.isfinite(seconds) and 0 <= seconds < _MAX_SECONDS):
        raise ValueError("no such time")
    return seconds


def server_time(client: redis.Redis) -> float:
    """Return the server's time, in seconds since 1970. Raises redis.RedisError."""
    seconds, micros = client.time()
    return float(seconds + micros / 1e6)


def moments(values: Mapping[bytes | str, bytes | str]) -> dict[str, float]:
    """Return name → seconds since 1970 of the fields of a hash, without those whose value is no such time."""
    found = {}
    for name, value in values.items():
        with contextlib.suppress(ValueError):
            found[text(name, "replace")] = moment(value)
    return found


def local_clock() -> datetime:
    """Return the time of this process's clock, in UTC."""
    return datetime.now(UTC)


def server_clock(server_ms: int) -> Clock:
    """Return a clock that is set to `server_ms` (milliseconds since 1970) now and advances with the monotonic clock."""
    offset = server_ms / 1000 - time.monotonic()
    return lambda: datetime.fromtimestamp(offset + time.monotonic(), UTC)
