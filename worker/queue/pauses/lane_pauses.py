"""Paused lanes: an operator or the circuit breaker pauses a lane.

Every dispatcher stops serving it within two seconds. A paused lane still accepts documents. They wait on it, and none
is lost. What is being processed is finished. What comes back instead (its worker was killed, or the store failed) waits
with the others (`LeaseQueue.reap` with `paused`), so that a paused lane has nothing in flight after a lease at most.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import redis

from worker.queue.clock import moment, moments
from worker.queue.keys import PAUSED_LANES, RESUMED_LANES
from worker.queue.replies import suppress_wrong_type, text
from worker.queue.urgent_writes import write_when_full


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a lane, or one of its sources, is not served. `at` is in seconds since 1970; `by` is `operator` or `breaker`."""

    who: str
    at: float
    why: str
    by: str = "operator"


def paused(client: redis.Redis) -> dict[str, Pause]:
    """Return lane → its pause. An unreadable value gives a pause by `unknown`. Raises redis.RedisError."""
    return read_pauses(client, PAUSED_LANES)


def read_pauses(client: redis.Redis, key: str) -> dict[str, Pause]:
    """Return the pauses in a hash by the names of its fields; none if `key` is no hash any more. Raises redis.RedisError."""
    pauses, values = {}, dict[bytes | str, bytes | str]()
    with suppress_wrong_type():  # another program has overwritten the pauses; the dispatcher renames the key
        values = client.hgetall(key)
    for name, value in values.items():
        try:
            pause_ = _pause(**json.loads(value))
        except (ValueError, TypeError, RecursionError):
            pause_ = Pause("unknown", 0.0, "an entry that cannot be read")
        pauses[text(name, "replace")] = pause_
    return pauses


def _pause(who: object, at: str | float, why: object, by: object = "operator") -> Pause:
    return Pause(str(who), moment(at), str(why), str(by))


def pause(client: redis.Redis, lane: str, reason: Pause) -> bool:
    """Pause a lane. Return False when it is paused already; that pause stays unchanged. Raises redis.RedisError."""
    return bool(write_when_full(client, "HSETNX", PAUSED_LANES, lane, json.dumps(asdict(reason))))


def resume(client: redis.Redis, lane: str) -> bool:
    """Serve a lane again. Return False when it was not paused. Raises redis.RedisError.

    The circuit breaker ignores failures from before this time.
    """
    removed = client.hdel(PAUSED_LANES, lane)
    now = client.time()[0]  # the breaker's minutes use the server's clock too
    write_when_full(client, "HSET", RESUMED_LANES, lane, now)
    return bool(removed)


def resumed(client: redis.Redis) -> dict[str, float]:
    """Return lane → when it was last resumed, in seconds since 1970. Raises redis.RedisError."""
    return moments(client.hgetall(RESUMED_LANES))
