"""Requests to stop a worker after its running batches. The console writes one; the worker's supervision thread reads it.

The request names the process (host:pid), so it never stops the worker that replaces it. A worker that does not read it
within a minute, because it hangs, is not stopped later by surprise.
"""

from __future__ import annotations

import redis

from worker.queue import keys
from worker.queue.replies import text
from worker.queue.urgent_writes import write_when_full

_EXPIRE_SECONDS = 60


def request_stop(client: redis.Redis, worker: str, who: str) -> None:
    """Ask the worker of this name (host:pid) to stop. Raises redis.RedisError."""
    write_when_full(client, "SET", keys.stop_request(worker), who.encode("utf-8", "replace"), "EX", _EXPIRE_SECONDS)


def take_stop_request(client: redis.Redis, worker: str) -> str | None:
    """Return who asked this worker to stop; None if nobody did. The request is removed. Raises redis.RedisError."""
    value = client.getdel(keys.stop_request(worker))
    return None if value is None else text(value, "replace")
