"""Detect and repair damage that a producer can do to its own lane, and a lane that another program has overwritten.

A producer that may `XADD` may also trim the lane (`MAXLEN`, `MINID`) and choose an id. After the largest possible id
the lane accepts no more entries. Redis cannot forbid either, so both are detected by their effects.
"""

from __future__ import annotations

from dataclasses import dataclass

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from worker.jobs.wrong_keys import WrongKey, find_wrong_keys, rename_wrong_keys
from worker.queue import keys
from worker.queue.clock import AHEAD_SECONDS
from worker.queue.lane_counts import LaneState
from worker.queue.lease_queue import (
    GROUP,
    ORIGINAL_IDS_EXPIRE_SECONDS,
    LeaseQueue,
    id_key,
    script,
)
from worker.store.receipts import highest_id

LARGEST = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Repair:
    """The result of a repair.

    `readded`: entries that got a current id; `vanished`: entries that are lost, now counted so.
    """

    readded: int
    vanished: int


def fault(state: LaneState, now_ms: int) -> str | None:
    """Return `blocked` if nothing can be added any more, `ahead` if new ids are ahead of time (AHEAD_SECONDS), else None."""
    ms, seq = id_key(state.last_id)
    if (ms, seq) == (LARGEST, LARGEST):
        return "blocked"
    return "ahead" if ms >= now_ms + AHEAD_SECONDS * 1000 else None


def vanished(state: LaneState) -> int:
    """Return how many entries others trimmed or deleted and no repair has counted yet.

    It is negative after the lane was lost or restored.
    """
    return state.added - state.settled - state.backlog - state.aside


def store_behind(client: redis.Redis, engine: Engine, lane: str) -> tuple[str | None, str] | None:
    """Detect a store that was restored from an older back-up.

    An entry leaves its lane after the commit, so the highest id that left the lane must have a receipt. If it is
    higher than all receipts, returns (the highest id with a receipt, the highest id that left the lane). Returns None
    if it is not, if Redis or the store cannot be read, or if the id that left is ahead of time. The next document that
    is stored hides the difference.
    """
    try:
        left = str(client.xinfo_stream(lane)["max-deleted-entry-id"], "ascii")
        with engine.connect() as connection:
            stored = highest_id(connection, lane)
    except (redis.ResponseError, KeyError, SQLAlchemyError):
        return None
    if id_key(left)[0] >= server_ms(client) + AHEAD_SECONDS * 1000 or id_key(stored or "0-0") >= id_key(left):
        return None
    return stored, left


def server_ms(client: redis.Redis) -> int:
    """Return the Redis server's clock in milliseconds; entry ids are made from it."""
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def wrong_keys(client: redis.Redis, lane: str) -> list[WrongKey]:
    """Return the keys of a lane, and those that all lanes share, which hold something else. Raises redis.RedisError."""
    return find_wrong_keys(client, _types(lane))


def rename_keys(client: redis.Redis, lane: str) -> list[WrongKey]:
    """Rename the keys that `wrong_keys` returns, and return them. Raises redis.RedisError."""
    return rename_wrong_keys(client, _types(lane))


def _types(lane: str) -> dict[str, str]:
    return {lane: "stream", **keys.types_of_lane(lane), **keys.SHARED_TYPES}


def repair(queue: LeaseQueue) -> Repair:
    """Give the entries of a lane current ids, and count vanished entries so that the lane's counters add up again.

    It is one script, so no entry added meanwhile is lost. Entries that workers hold are processed again under their
    new id, and keep the outcome that they have. An entry keeps its place among the versions of its document. The script
    blocks the Redis server for about a second per 100,000 entries of the lane. Raises redis.RedisError.
    """
    run = queue.client.register_script(script("repair"))
    names = [queue.lane, queue.counters, queue.aside, keys.original_ids(queue.lane)]
    names += [keys.order_ids(queue.lane), keys.NEWEST]
    moved, gone = run(keys=names, args=[GROUP, ORIGINAL_IDS_EXPIRE_SECONDS])
    return Repair(int(moved), max(0, int(gone)))
