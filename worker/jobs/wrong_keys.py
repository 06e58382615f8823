"""Find and rename keys in Redis that another program has overwritten with a value of another type.

No command of Copydesk works on such a key (`WRONGTYPE`), and what it held before is lost. The key is renamed and not
deleted, because the value may belong to somebody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import redis

from worker.queue import keys
from worker.queue.replies import text

SHARED_TYPES = {
    keys.PAUSED_LANES: "hash",
    keys.RESUMED_LANES: "hash",
    keys.WORKERS: "zset",
    keys.OUTCOME_FEED: "stream",
    keys.MAINTAINED: "string",
    keys.ROLLED_UP: "string",
    keys.TOKEN_CURSOR: "string",
    keys.NEWEST: "string",
}
"""Key that all lanes share and only Copydesk writes → its type."""
_HASHES = (
    keys.outcomes,
    keys.oversized,
    keys.crash_reports,
    keys.store_timeouts,
    keys.paused_sources,
    keys.resumed_sources,
    keys.original_ids,
    keys.order_ids,
)

# One script, so that no other worker can create the key anew between the two commands.
# KEYS: the keys. ARGV: the prefix of the new names, or '' to rename nothing; then the expected type of each key.
# Returns {key, its type, …} of those that have another type.
_FIND = """#!lua flags=allow-oom
local wrong = {}
for n, key in ipairs(KEYS) do
  local actual = redis.call('TYPE', key).ok
  if actual ~= 'none' and actual ~= ARGV[n + 1] then
    if ARGV[1] ~= '' then redis.call('RENAME', key, ARGV[1] .. key) end
    wrong[#wrong + 1] = key
    wrong[#wrong + 1] = actual
  end
end
return wrong
"""


@dataclass(frozen=True, slots=True)
class WrongKey:
    """A key whose type is `actual` instead of `expected`, as the command TYPE names types."""

    key: str
    actual: str
    expected: str

    def __str__(self) -> str:
        return f"its key {self.key} holds a {self.actual} instead of a {self.expected}"


def types_of_lane(lane: str) -> dict[str, str]:
    """Return key → type of what only Copydesk writes about a lane. (The lane itself is a stream.)"""
    return {**{key(lane): "hash" for key in _HASHES}, keys.clock(lane): "string", keys.aside(lane): "stream"}


def find_wrong_keys(client: redis.Redis, types: Mapping[str, str]) -> list[WrongKey]:
    """Return the keys that exist with another type than `types` (key → type) says. Raises redis.RedisError."""
    return _find(client, types, "")


def rename_wrong_keys(client: redis.Redis, types: Mapping[str, str]) -> list[WrongKey]:
    """Rename the keys that `find_wrong_keys` returns, and return them under their former names. Raises redis.RedisError.

    The new name is `new_name(key)`. A key that was renamed to it before is replaced.
    """
    return _find(client, types, keys.FOREIGN)


def new_name(key: str) -> str:
    """Return the name that `rename_wrong_keys` gives to a key."""
    return keys.FOREIGN + key


def _find(client: redis.Redis, types: Mapping[str, str], prefix: str) -> list[WrongKey]:
    reply = client.eval(_FIND, len(types), *types, prefix, *types.values())
    flat = [text(part) for part in reply]
    return [WrongKey(key, actual, types[key]) for key, actual in zip(flat[::2], flat[1::2], strict=True)]
