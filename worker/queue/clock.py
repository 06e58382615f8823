"""The Redis server's time, of which ids are made. A process's own clock may be days off, so it decides nothing that lasts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Clock = Callable[[], datetime]


_MOST_SECONDS = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


def moment(value: Any) -> float:
    """Seconds since 1970 that somebody wrote into Redis. Raises ValueError or TypeError where no calendar has that time."""
    seconds = float(value)
    if not (math.isfinite(seconds) and 0 <= seconds < _MOST_SECONDS):
        raise ValueError("no such time")
    return seconds


def local_clock() -> datetime:
    """The time of this process."""
    return datetime.now(UTC)


def server_clock(server_ms: int) -> Clock:
    """A clock that shows `server_ms`, a server's time in milliseconds since 1970, now, and goes on from there."""
    offset = server_ms / 1000 - time.monotonic()
    return lambda: datetime.fromtimestamp(offset + time.monotonic(), UTC)
