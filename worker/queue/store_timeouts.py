"""Count how often the store timed out on a document that was alone in its batch, while it stored other documents.

A store that hangs is no document's fault, so a time-out counts only if other documents got an outcome since the one
before. The counts stay in Redis, in a hash beside the lane, until the document has its outcome.
"""

from __future__ import annotations

from collections.abc import Iterable

from worker.queue import keys
from worker.queue.lease_queue import CRASHES_EXPIRE_SECONDS, LeaseQueue


class StoreTimeouts:
    """The store's time-outs by entry of one lane. `lanes`: all lanes, whose outcomes show that the store works."""

    def __init__(self, queue: LeaseQueue, lanes: Iterable[str]) -> None:
        self._queue, self._lanes = queue, sorted({queue.lane, *lanes})
        self._key = keys.store_timeouts(queue.lane)

    def record(self, id_: str) -> int:
        """Count a time-out of entry `id_`; return how many count so far. Raises redis.RedisError."""
        client = self._queue.client
        with client.pipeline(transaction=False) as pipe:
            pipe.hget(self._key, id_)
            for lane in self._lanes:
                pipe.hvals(keys.outcomes(lane))
            known, *outcomes = pipe.execute()
        settled = sum(int(value) for values in outcomes for value in values)
        count, before = map(int, known.split(b" ")) if known else (0, -1)
        if settled > before:
            count += 1
            with client.pipeline(transaction=False) as pipe:
                pipe.hset(self._key, id_, f"{count} {settled}")
                pipe.expire(self._key, CRASHES_EXPIRE_SECONDS)
                pipe.execute()
        return count

    def forget(self, id_: str) -> None:
        """Remove the count of an entry that has its outcome. Raises redis.RedisError."""
        self._queue.client.hdel(self._key, id_)
