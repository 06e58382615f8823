"""The documents on which the store timed out, and how often it did when the document was alone in its batch.

A document of a small batch that timed out is sent again alone, so that it holds up no other. A store that hangs is no
document's fault, so a time-out of a lone one counts only if other documents got an outcome since the one before. The
counts stay in Redis, in a hash beside the lane, until the document has its outcome (`lua/settle.lua` removes them).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from worker.queue import keys
from worker.queue.lease_queue import CRASHES_EXPIRE_SECONDS, LeaseQueue
from worker.queue.urgent_writes import write_when_full

_NOT_ALONE_YET = "0 -1"


class StoreTimeouts:
    """The store's time-outs by entry of one lane. `lanes`: all lanes, whose outcomes show that the store works."""

    def __init__(self, queue: LeaseQueue, lanes: Iterable[str] = ()) -> None:
        self._queue, self._lanes = queue, sorted({queue.lane, *lanes})
        self._key = keys.store_timeouts(queue.lane)

    def record_together(self, ids: Iterable[str]) -> None:
        """Record a time-out of entries that were in one batch. It counts for none. Raises redis.RedisError."""
        with self._queue.client.pipeline(transaction=False) as pipe:
            for id_ in ids:
                write_when_full(pipe, "HSETNX", self._key, id_, _NOT_ALONE_YET)
            pipe.expire(self._key, CRASHES_EXPIRE_SECONDS)
            pipe.execute()

    def recorded(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` on which the store has timed out. Raises redis.RedisError."""
        known = self._queue.client.hmget(self._key, list(ids)) if ids else []
        return {id_ for id_, count in zip(ids, known, strict=True) if count is not None}

    def record(self, id_: str) -> int:
        """Count a time-out of entry `id_`, which was alone; return how many count so far. Raises redis.RedisError."""
        client = self._queue.client
        with client.pipeline(transaction=False) as pipe:
            pipe.hget(self._key, id_)
            for lane in self._lanes:
                pipe.hvals(keys.outcomes(lane))
            known, *outcomes = pipe.execute()
        settled = sum(int(value) for values in outcomes for value in values)
        count, before = map(int, (known or _NOT_ALONE_YET.encode()).split(b" "))
        if settled > before:
            count += 1
            with client.pipeline(transaction=False) as pipe:
                write_when_full(pipe, "HSET", self._key, id_, f"{count} {settled}")
                pipe.expire(self._key, CRASHES_EXPIRE_SECONDS)
                pipe.execute()
        return count
