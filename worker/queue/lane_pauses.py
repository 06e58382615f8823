"""Lanes that are paused, by an operator or by the circuit breaker. Every dispatcher obeys within two seconds.

A paused lane still accepts documents: they wait, and nothing is lost.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import redis

from worker.queue.clock import moment
from worker.queue.keys import PAUSED_LANES, RESUMED_LANES


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a lane is not served. `at`: seconds since 1970; `by`: `operator` or `breaker`."""

    who: str
    at: float
    why: str
    by: str = "operator"


def paused(client: redis.Redis) -> dict[str, Pause]:
    """Lane → its pause. Raises redis.RedisError."""
    found: Any = client.hgetall(PAUSED_LANES)
    pauses = {}
    for lane, value in found.items():
        try:
            pause_ = _pause(**json.loads(value))
        except (ValueError, TypeError, RecursionError):
            pause_ = Pause("unknown", 0.0, "an entry that cannot be read")
        pauses[lane.decode("utf-8", "replace")] = pause_
    return pauses


def _pause(who: Any, at: Any, why: Any, by: Any = "operator") -> Pause:
    return Pause(str(who), moment(at), str(why), str(by))


def pause(client: redis.Redis, lane: str, found: Pause) -> bool:
    """Pause a lane; False when it was paused already, which then stays as it was. Raises redis.RedisError."""
    return bool(client.hsetnx(PAUSED_LANES, lane, json.dumps(asdict(found))))


def resume(client: redis.Redis, lane: str) -> bool:
    """Serve a lane again; False when it was not paused. The circuit breaker counts anew from here."""
    removed: Any = client.hdel(PAUSED_LANES, lane)
    # A server that is full refuses this one; the lane is served all the same.
    with contextlib.suppress(redis.exceptions.OutOfMemoryError):
        client.hset(RESUMED_LANES, lane, client.time()[0])  # as the minutes of the breaker: by the server's clock
    return bool(removed)


def resumed(client: redis.Redis) -> dict[str, float]:
    """Lane → when it was last resumed, seconds since 1970."""
    found: Any = client.hgetall(RESUMED_LANES)
    return {lane.decode(): float(at) for lane, at in found.items()}
