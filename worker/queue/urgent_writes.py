"""Small writes that Redis must accept although it is out of memory: what stops producers or keeps workers going."""

from __future__ import annotations

from typing import Any

import redis
from redis.typing import EncodableT

_WRITE = "#!lua flags=allow-oom\nreturn redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))"


def write_when_full(client: redis.Redis, command: str, key: str, *arguments: EncodableT) -> Any:
    """Send `command key arguments…` as a script that Redis runs at any time; return the answer of the command.

    `client` may be a pipeline. Use it only where the values are small and bounded in number. Raises redis.RedisError.
    """
    return client.eval(_WRITE, 1, key, command, *arguments)
