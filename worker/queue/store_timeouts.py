"""The documents whose storing failed: the store timed out, or the process was lost. And how often the store timed out on
one that was alone in its batch.

A document of a small batch that failed is sent again alone, so that it holds up no other. A store that hangs is no
document's fault, so a failure of a lone one counts only if other documents got an outcome: since the time-out before, or
since the first failure if a process is lost. The counts stay in Redis, in a hash beside the lane, until the document has
its outcome (`lua/settle.lua` removes them).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from worker.queue import keys
from worker.queue.lease_queue import CRASHES_EXPIRE_SECONDS, LeaseQueue
from worker.queue.replies import count_in
from worker.queue.urgent_writes import write_when_full


class StoreTimeouts:
    """The failures by entry of one lane. `lanes`: all lanes, whose outcomes show that the store works."""

    def __init__(self, queue: LeaseQueue, lanes: Iterable[str] = ()) -> None:
        self._queue, self._lanes = queue, sorted({queue.lane, *lanes})
        self._key = keys.store_timeouts(queue.lane)

    def record_together(self, ids: Iterable[str]) -> None:
        """Record a failure of entries that were in one batch. It counts for none. Raises redis.RedisError."""
        settled = self._settled()
        with self._queue.client.pipeline(transaction=False) as pipe:
            for id_ in ids:
                write_when_full(pipe, "HSETNX", self._key, id_, f"0 {settled}")
            pipe.expire(self._key, CRASHES_EXPIRE_SECONDS)
            pipe.execute()

    def recorded(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` whose storing has failed. Raises redis.RedisError."""
        known = self._queue.client.hmget(self._key, list(ids)) if ids else []
        return {id_ for id_, count in zip(ids, known, strict=True) if count is not None}

    def record(self, id_: str) -> int:
        """Count a time-out of entry `id_`, which was alone; return how many count so far. Raises redis.RedisError."""
        settled, before = self._settled(), self._known(id_)
        count = before[0]
        if settled > before[1]:
            count += 1
            with self._queue.client.pipeline(transaction=False) as pipe:
                write_when_full(pipe, "HSET", self._key, id_, f"{count} {settled}")
                pipe.expire(self._key, CRASHES_EXPIRE_SECONDS)
                pipe.execute()
        return count

    def are_others_stored(self, id_: str) -> bool:
        """Return whether documents got an outcome since entry `id_` was recorded, or it is not recorded yet.

        Raises redis.RedisError.
        """
        return self._settled() > self._known(id_)[1]

    def _known(self, id_: str) -> tuple[int, int]:
        """Return how many time-outs count for an entry, and how many entries were settled when it was recorded."""
        value = (self._queue.client.hget(self._key, id_) or b"").split()
        match [count_in(part) for part in value]:
            case [int(count), int(settled)]:
                return count, settled
        return 0, -1

    def _settled(self) -> int:
        """Return how many entries of all lanes are settled."""
        with self._queue.client.pipeline(transaction=False) as pipe:
            for lane in self._lanes:
                pipe.hvals(keys.outcomes(lane))
            return sum(count_in(value) or 0 for values in pipe.execute() for value in values)
