"""The entries that wait on a lane: the newest or oldest, of one source, with a key, those that a process works on; and one of
them with its document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

from worker.queries.pending import PendingEntry, pending, state_of
from worker.queue.clock import server_time
from worker.queue.lease_queue import GROUP, LeaseQueue, id_key
from worker.queue.oversized import EntryPrefix, read_prefix

_MAX_SCANNED = 5000
_MAX_BYTES = 16 << 20
_TEXT = 300  # bytes of a key or source

# KEYS: the lane. ARGV: `newest` or `oldest`, source or empty, part of a key or empty, limit of entries, of scanned ones, of
# scanned bytes, bytes of a text, first id or empty, then the ids to read; none: all. Documents stay in the server: it returns
# their sizes. One entry is read at a time, so that the memory of this script is bounded by the largest one.
_LIST = """#!lua flags=no-writes
local newest, source, text, limit = ARGV[1] == 'newest', ARGV[2], ARGV[3], tonumber(ARGV[4])
local found, scanned, bytes, at = {}, 0, 0, ARGV[8]
while #found < limit and scanned < tonumber(ARGV[5]) and bytes < tonumber(ARGV[6]) do
  local reply
  if #ARGV > 8 then
    local id = ARGV[9 + scanned]
    if not id then
      return {found, scanned, ''}
    end
    reply = redis.call('XRANGE', KEYS[1], id, id)
  elseif newest then
    reply = redis.call('XREVRANGE', KEYS[1], at == '' and '+' or '(' .. at, '-', 'COUNT', 1)
  else
    reply = redis.call('XRANGE', KEYS[1], at == '' and '-' or '(' .. at, '+', 'COUNT', 1)
  end
  scanned = scanned + 1
  if #reply > 0 then
    at = reply[1][1]
    local fields, entry = reply[1][2], {reply[1][1], '', '', '', 0}
    local places = {source = 2, key = 3, op = 4}
    for i = 1, #fields, 2 do
      bytes = bytes + #fields[i] + #fields[i + 1] + 32  -- an empty field takes time, too
      if fields[i] == 'raw' then
        entry[5] = #fields[i + 1]
      elseif places[fields[i]] then
        entry[places[fields[i]]] = string.sub(fields[i + 1], 1, tonumber(ARGV[7]))
      end
    end
    if (source == '' or entry[2] == source) and (text == '' or string.find(entry[3], text, 1, true)) then
      found[#found + 1] = entry
    end
  elseif #ARGV == 8 then
    return {found, scanned - 1, ''}
  end
end
return {found, scanned, at}
"""


@dataclass(frozen=True, slots=True)
class WaitingEntry:
    """An entry that has no outcome. `state`: see `pending.PendingEntry`; `size`: bytes of its document."""

    id: str
    source: str
    key: str
    op: str
    size: int
    state: str
    seconds: float


@dataclass(frozen=True, slots=True)
class WaitingEntries:
    """Entries, how many were looked at, and after which id the next ones come; empty if there are no others."""

    entries: tuple[WaitingEntry, ...]
    scanned: int
    after: str


def waiting_entries(
    client: redis.Redis,
    lane: str,
    *,
    newest: bool = False,
    source: str = "",
    key: str = "",
    after: str = "",
    limit: int = 50,
) -> WaitingEntries:
    """Return at most `limit` entries of a lane, in the order of arrival or with the newest first. Raises redis.RedisError.

    `source`: only its entries; `key`: only those with this text in their key, both among the next 5,000 (or 16 MiB).
    `after`: only those beyond this id.
    """
    return _read(client, lane, "newest" if newest else "oldest", source, key, limit, after)


def held_entries(client: redis.Redis, lane: str, holder: str, *, limit: int = 50) -> WaitingEntries:
    """Return the entries of a lane that a pool process (host:pid) works on, at most `limit`. Raises redis.RedisError."""
    LeaseQueue(client, lane).ensure()
    leases: Any = client.xpending_range(lane, GROUP, "-", "+", limit, consumername=holder)
    ids = [_text(lease["message_id"]) for lease in leases]
    return _read(client, lane, "oldest", "", "", limit, "", ids) if ids else WaitingEntries((), 0, "")


def _read(
    client: redis.Redis, lane: str, order: str, source: str, key: str, limit: int, after: str, ids: Sequence[str] = ()
) -> WaitingEntries:
    limits = (limit, _MAX_SCANNED, _MAX_BYTES, _TEXT)
    reply: Any = client.eval(_LIST, 1, lane, order, source, key, *limits, after, *ids)
    rows, scanned, last = reply
    holders = _holders(client, lane, [row[0] for row in rows])
    now = server_time(client)
    entries = tuple(
        WaitingEntry(
            _text(row[0]), _text(row[1]), _text(row[2]), _text(row[3]) or "put", int(row[4]), state,
            round(max(0.0, now - id_key(_text(row[0]))[0] / 1000), 1),
        )
        for row, state in zip(rows, holders, strict=True)
    )  # fmt: skip
    return WaitingEntries(entries, int(scanned), "" if ids else _text(last))


def _holders(client: redis.Redis, lane: str, ids: list[bytes]) -> list[str]:
    LeaseQueue(client, lane).ensure()
    with client.pipeline(transaction=False) as pipe:
        for id_ in ids:
            pipe.xpending_range(lane, GROUP, id_.decode(), id_.decode(), 1)
        leases = pipe.execute()
    return [state_of(_text(lease[0]["consumer"]) if lease else None) for lease in leases]


def waiting_entry(client: redis.Redis, lane: str, id_: str) -> tuple[PendingEntry, EntryPrefix] | None:
    """Return an entry and the first 64 KiB of its document; None if it has an outcome. Raises redis.RedisError."""
    entry = next(iter(pending(client, [lane], id_)), None)
    if entry is None:
        return None
    return entry, read_prefix(client, lane, id_, fields=frozenset({b"source", b"key", b"op"}), whole=False)


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
