"""Find and rename keys in Redis that another program has overwritten with a value of another type.

No command of Copydesk works on such a key (`WRONGTYPE`), and what it held before is lost. The key is renamed and not
deleted, because the value may belong to somebody.

A value of the right type that is no number where Copydesk writes numbers counts as absent wherever it is read. In the
hashes in which it would stay forever it is removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis

from worker.queue import keys
from worker.queue.replies import text

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


# KEYS: hashes. Removes fields whose value is no whole number that HINCRBY accepts. Returns {key, field, value, …} of them.
_REMOVE = """#!lua flags=allow-oom
local removed = {}
for _, key in ipairs(KEYS) do
  local flat = redis.call('HGETALL', key)
  for n = 1, #flat, 2 do
    if #flat[n + 1] > 18 or not string.match(flat[n + 1], '^%d+$') then
      redis.call('HDEL', key, flat[n])
      for _, part in ipairs({key, flat[n], string.sub(flat[n + 1], 1, 100)}) do removed[#removed + 1] = part end
    end
  end
end
return removed
"""


@dataclass(frozen=True, slots=True)
class WrongKey:
    """A key whose type is `actual` instead of `expected`, as the command TYPE names types."""

    key: str
    actual: str
    expected: str

    def __str__(self) -> str:
        return f"its key {self.key} holds a {self.actual} instead of a {self.expected}"


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


def remove_unreadable_numbers(client: redis.Redis, hashes: Sequence[str]) -> list[tuple[str, str, str]]:
    """Remove the fields of `hashes` whose value is no whole number; return (key, field, value) of each.

    Raises redis.RedisError.
    """
    flat = [text(part, "backslashreplace") for part in client.eval(_REMOVE, len(hashes), *hashes)]
    return list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))


def _find(client: redis.Redis, types: Mapping[str, str], prefix: str) -> list[WrongKey]:
    reply = client.eval(_FIND, len(types), *types, prefix, *types.values())
    flat = [text(part) for part in reply]
    return [WrongKey(key, actual, types[key]) for key, actual in zip(flat[::2], flat[1::2], strict=True)]
