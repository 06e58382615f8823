"""Heartbeats: each worker's main process writes its state to a Redis hash every two seconds. The hash expires.

`status`, `tail`, `health` and the metrics read these hashes. That needs no broadcast and no waiting for answers. A
worker without a hash is not running. All times are by Redis's clock: the workers' hosts may have other ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field

import redis
from redis.client import Pipeline

from worker.queue import keys
from worker.queue.clock import moment, server_time
from worker.queue.replies import absent_if_wrong

HEARTBEAT_SECONDS = 2.0
SILENT_SECONDS = 10
"""A worker without a heartbeat for this time, which is five heartbeats, counts as not running."""
MISSED_SECONDS = 600
"""For how long a worker that stopped without `leave` is reported as missing."""

_MAX_WORKERS = 1000

# `allow-oom`: workers free memory in a server that is out of memory, so their heartbeats must continue.
_HEARTBEAT = """#!lua flags=allow-oom
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('DEL', KEYS[1])  -- all fields are written each time; and whatever another program wrote there goes
redis.call('HSET', KEYS[1], 'beat', now, unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], now, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3])
"""


@dataclass(frozen=True, slots=True)
class PoolProcess:
    """A pool process and its batch. `lane` is None while it is idle; `since` is in seconds since 1970, by Redis's clock."""

    pid: int
    lane: str | None = None
    documents: int = 0
    since: float | None = None


@dataclass(slots=True)
class WorkerState:
    """The state of a worker, as its heartbeat reports it. Times are in seconds since 1970, by Redis's clock."""

    name: str
    """host:pid of its main process; unique."""
    host: str
    pid: int
    version: str
    started: float
    lanes: tuple[str, ...]
    concurrency: int
    state: str = "starting"
    """starting, consuming, paused, waiting-for-store, waiting-for-redis, full, stuck or stopping."""
    since: float = 0.0
    reason: str = ""
    """The reason as a sentence, if the state is not `consuming`."""
    last_progress: float | None = None
    """When it last dispatched documents or saw that there are none."""
    pool: tuple[PoolProcess, ...] = field(default=())
    heartbeat_at: float = 0.0
    """The time of the heartbeat, which Redis sets."""

    @property
    def is_consuming(self) -> bool:
        return self.state == "consuming"


def send(client: redis.Redis, worker: WorkerState, pipe: Pipeline | None = None) -> None:
    """Write the heartbeat of `worker`.

    If `pipe` is given, its owner executes the command. Raises redis.RedisError.
    """
    flat = [part for pair in _to_hash(worker).items() for part in pair]
    arguments = (SILENT_SECONDS, worker.name, MISSED_SECONDS, *flat)
    (client if pipe is None else pipe).eval(_HEARTBEAT, 2, keys.worker(worker.name), keys.WORKERS, *arguments)


def leave(client: redis.Redis, name: str) -> None:
    """Remove a worker that stops, so that it is not reported as missing. Raises redis.RedisError."""
    with client.pipeline(transaction=False) as pipe:
        pipe.delete(keys.worker(name))
        pipe.zrem(keys.WORKERS, name)
        pipe.execute()


def workers(client: redis.Redis) -> list[WorkerState]:
    """Return the running workers, sorted by name, in two round trips. Raises redis.RedisError."""
    names = sorted(name for name, _ in _index(client))
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(keys.worker(name))
        hashes = pipe.execute(raise_on_error=False)
    states = [_from_hash(fields) for fields in map(absent_if_wrong, hashes) if fields]
    return [state for state in states if state is not None]


def missing(client: redis.Redis, alive: Sequence[WorkerState]) -> list[tuple[str, float]]:
    """Return (name, seconds since its last heartbeat) of workers that stopped without `leave`. Raises redis.RedisError.

    `alive` are the running workers. A worker is left out if another one has started on its host since: that is its
    replacement.
    """
    alive_names, now = {worker.name for worker in alive}, server_time(client)
    silent = []
    for name, last in _index(client):
        host = name.rpartition(":")[0]
        followed = any(worker.host == host and worker.started > last for worker in alive)
        if name not in alive_names and not followed and SILENT_SECONDS < now - last < MISSED_SECONDS:
            silent.append((name, round(now - last, 1)))
    return sorted(silent)


def _index(client: redis.Redis) -> list[tuple[str, float]]:
    """Return (name, time of its last heartbeat) of the workers of the last minutes."""
    with client.pipeline(transaction=False) as pipe:
        pipe.zrange(keys.WORKERS, 0, _MAX_WORKERS - 1, withscores=True)
        (reply,) = pipe.execute(raise_on_error=False)
    rows: list[tuple[bytes, float]] = absent_if_wrong(reply) or []
    return [(name.decode("utf-8", "replace"), at) for name, at in rows]


def _to_hash(worker: WorkerState) -> dict[str, str | int | float]:
    fields = {name: value for name, value in asdict(worker).items() if name != "heartbeat_at"}
    return {
        **fields,
        "lanes": json.dumps(worker.lanes),
        "last_progress": worker.last_progress or "",
        "pool": json.dumps([astuple(process) for process in worker.pool]),
    }


def _from_hash(fields: dict[bytes, bytes]) -> WorkerState | None:
    """Return the state of a worker, or None if another program has overwritten the hash."""
    try:
        return _parsed(fields)
    except (KeyError, ValueError, TypeError, RecursionError):
        return None


def _parsed(fields: dict[bytes, bytes]) -> WorkerState:
    text = {name.decode(): value.decode("utf-8", "replace") for name, value in fields.items()}
    return WorkerState(
        name=text["name"],
        host=text["host"],
        pid=int(text["pid"]),
        version=text["version"],
        started=moment(text["started"]),
        lanes=tuple(json.loads(text["lanes"])),
        concurrency=int(text["concurrency"]),
        state=text["state"],
        since=moment(text["since"]),
        reason=text["reason"],
        last_progress=moment(text["last_progress"]) if text["last_progress"] else None,
        pool=tuple(PoolProcess(*process) for process in json.loads(text.get("pool", "[]"))),
        heartbeat_at=moment(text["beat"]),
    )
