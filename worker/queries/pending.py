"""Find an entry that has no outcome yet: its lane, its state and the worker that holds it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import redis

from worker.queue import keys
from worker.queue.lease_queue import DISPATCHED, GROUP, RETURNED, LeaseQueue, id_key, is_entry_id
from worker.queue.oversized import read_prefix


def pending(client: redis.Redis, lanes: Iterable[str], id_: str) -> list[dict[str, Any]]:
    """Return one result for each lane that still has the entry `id_`; empty if none has. Raises redis.RedisError.

    Each is `{"id", "lane", "outcome": "pending", "source", "key", "state", "holder", "attempts", "waited_seconds"}`.
    """
    if not is_entry_id(id_):
        return []
    return [found for lane in lanes if (found := _on_lane(client, lane, id_)) is not None]


def added_again(client: redis.Redis, lanes: Iterable[str], id_: str) -> list[str]:
    """Return the ids under which lane repairs of the last 7 days added the entry `id_` again.

    Raises redis.RedisError.
    """
    if not is_entry_id(id_):
        return []
    pairs = (pair for lane in lanes for pair in client.hscan_iter(keys.original_ids(lane), count=1000))
    return [fresh.decode() for fresh, first in pairs if first == id_.encode()]


def _on_lane(client: redis.Redis, lane: str, id_: str) -> dict[str, Any] | None:
    queue = LeaseQueue(client, lane)
    queue.ensure()
    fields = _fields(client, lane, id_)
    held: Any = []
    if fields:
        held = client.xpending_range(lane, GROUP, id_, id_, 1)
        holder = held[0]["consumer"].decode("utf-8", "replace") if held else None
        state = "waits" if holder in (None, RETURNED) else "handed out" if holder == DISPATCHED else "at work"
    else:
        fields, holder, state = _fields(client, queue.aside, id_), None, "set aside"
    if not fields:
        return None
    return {
        "id": id_, "lane": lane, "outcome": "pending", "source": _text(fields.get(b"source")), "key": _text(fields.get(b"key")),
        "state": state, "holder": None if holder in (DISPATCHED, RETURNED) else holder,
        "attempts": held[0]["times_delivered"] if held else 0,
        "waited_seconds": round(max(0.0, time.time() - id_key(id_)[0] / 1000), 1),
    }  # fmt: skip


def _fields(client: redis.Redis, stream: str, id_: str) -> dict[bytes, bytes]:
    """Return source and key of an entry, and perhaps other fields; empty if it does not exist.

    Large entries are not loaded whole.
    """
    return read_prefix(client, stream, id_, fields=frozenset({b"source", b"key"})).fields


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")[:300]
