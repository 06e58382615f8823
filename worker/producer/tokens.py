"""Removes tokens that live too long. A crawler may write a key `once:…` with any expiry, or none."""

from __future__ import annotations

import redis

from worker.producer.submission import LONGEST_TOKEN_SECONDS
from worker.queue import keys
from worker.queue.replies import count_in
from worker.queue.urgent_writes import write_when_full

_PAGE = 1000
_MAX_PAGES = 100
"""How many pages of the keyspace one call scans. The next call continues there."""


def remove_lasting_tokens(client: redis.Redis) -> int:
    """Remove tokens that have no expiry or one above `LONGEST_TOKEN_SECONDS`; return how many. Raises redis.RedisError."""
    cursor, removed = count_in(client.get(keys.TOKEN_CURSOR)) or 0, 0
    for _ in range(_MAX_PAGES):
        cursor, page = client.scan(cursor, match=f"{keys.TOKENS}*", count=_PAGE)
        if page:
            with client.pipeline(transaction=False) as pipe:
                for key in page:
                    pipe.ttl(key)
                lasting = [
                    key
                    for key, ttl in zip(page, pipe.execute(), strict=True)
                    if ttl == -1 or ttl > LONGEST_TOKEN_SECONDS
                ]
            if lasting:
                removed += int(client.unlink(*lasting))
        if cursor == 0:
            break
    write_when_full(client, "SET", keys.TOKEN_CURSOR, cursor)
    return removed
