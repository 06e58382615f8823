"""Paused sources of a lane: an operator or the circuit breaker pauses one, and the lane's other sources are served.

A pause is about one lane, because a source is only what a producer claims to be: documents that claim its name on
another lane are served. Entries of a paused source stay on their lane with their ids, pending for a consumer named after
the source (see `lua/prelude.lua`). Pausing and resuming change one field of a hash; the scripts of the lease queue read it,
so a pause holds from the next dispatch and the next claim on. No entry is copied, and a crash loses none.
"""

from __future__ import annotations

import json
from dataclasses import asdict

import redis

from worker.queue import keys
from worker.queue.clock import moments
from worker.queue.lease_queue import PAUSED_LANE
from worker.queue.pauses.lane_pauses import Pause, read_pauses
from worker.queue.urgent_writes import write_when_full

RESUMED_EXPIRE_SECONDS = 7200
"""More than the circuit breaker counts."""


def paused_sources(client: redis.Redis, lane: str) -> dict[str, Pause]:
    """Return source → its pause. An unreadable value gives a pause by `unknown`. Raises redis.RedisError."""
    return read_pauses(client, keys.paused_sources(lane))


def pause_source(client: redis.Redis, lane: str, source: str, reason: Pause) -> bool:
    """Pause a source on a lane. Return False when it is paused already; that pause stays. Raises redis.RedisError."""
    return bool(write_when_full(client, "HSETNX", keys.paused_sources(lane), source, json.dumps(asdict(reason))))


def resume_source(client: redis.Redis, lane: str, source: str) -> bool:
    """Serve a source again. Return False when it was not paused. Raises redis.RedisError.

    The circuit breaker ignores its rejections from before this time.
    """
    removed = client.hdel(keys.paused_sources(lane), source)
    write_when_full(client, "HSET", keys.resumed_sources(lane), source, client.time()[0])
    client.expire(keys.resumed_sources(lane), RESUMED_EXPIRE_SECONDS)
    return bool(removed)


def resumed_sources(client: redis.Redis, lane: str) -> dict[str, float]:
    """Return source → when it was last resumed, in seconds since 1970, of the last hours. Raises redis.RedisError."""
    return moments(client.hgetall(keys.resumed_sources(lane)))


def source_kept_by(consumer: str) -> str | None:
    """Return the source whose entries this consumer keeps while the source is paused; None for any other consumer."""
    return consumer.removeprefix(PAUSED_LANE) or None if consumer.startswith(PAUSED_LANE) else None
