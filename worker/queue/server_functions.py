"""The function that Copydesk loads into the Redis server (FUNCTION LOAD). Producers call it by its name (FCALL)."""

from __future__ import annotations

from importlib import resources

import redis

SUBMIT = "copydesk_submit"
LIBRARY = (resources.files("worker.queue") / "lua" / "functions.lua").read_text("utf-8")


def load_functions(client: redis.Redis) -> bool:
    """Load the library unless the server has this version; return whether it was loaded. Raises redis.RedisError.

    Redis persists and replicates a library like data.
    """
    for library in client.function_list(library="copydesk", withcode=True):
        # A flat list of names and values, or with RESP3 a mapping.
        if LIBRARY.encode() in (library.values() if isinstance(library, dict) else library):
            return False
    client.function_load(LIBRARY, replace=True)
    return True
