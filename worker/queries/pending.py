"""Find entries that have no outcome yet: their lane, their state and the worker that holds them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import redis

from worker.pipeline import normal_key
from worker.queue import keys
from worker.queue.clock import server_time
from worker.queue.lease_queue import (
    DISPATCHED,
    GROUP,
    PAUSED_LANE,
    RETURNED,
    LeaseQueue,
    id_key,
    is_entry_id,
    order_of,
    script,
)
from worker.queue.oversized import read_prefix
from worker.queue.pauses.source_pauses import source_kept_by
from worker.queue.replies import suppress_wrong_type, text

_SHOWN_CHARACTERS = 300
MAX_SEARCHED = 5_000
"""How many entries of a lane `find_pending` reads at most."""
_MAX_SEARCHED_BYTES = 64 << 20
_PART_ENTRIES, _PART_BYTES = 500, 4 << 20
"""How much is read at once: it occupies the server for some 10 ms."""
_MAX_FOUND = 20


class PendingEntry(TypedDict):
    """An entry without an outcome.

    `state`: `waiting`, `dispatched`, `processing`, `paused` (its source was when it was read) or `set aside` (by a repair).
    """

    id: str
    lane: str
    outcome: str
    source: str | None
    key: str | None
    state: str
    holder: str | None
    attempts: int
    waited_seconds: float


def pending(client: redis.Redis, lanes: Iterable[str], id_: str) -> list[PendingEntry]:
    """Return one result for each lane that still has the entry `id_`; empty if none has. Raises redis.RedisError."""
    if not is_entry_id(id_):
        return []
    return [entry for lane in lanes if (entry := _on_lane(client, lane, id_)) is not None]


def find_pending(client: redis.Redis, lanes: Iterable[str], query: str) -> tuple[list[PendingEntry], list[str]]:
    """Find entries by a producer's key, or by a URL in a field of the document, as it is written there.

    Returns them, the newest first (20 a lane at most), and the lanes of which only the newest entries were read
    (`MAX_SEARCHED`, or 64 MB). Raises redis.RedisError.
    """
    entries, partial = list[PendingEntry](), list[str]()
    for lane in lanes:
        with suppress_wrong_type():
            ids, is_complete = _search(client, lane, query)
            entries += [entry for id_ in ids if (entry := _on_lane(client, lane, id_)) is not None]
            partial += [] if is_complete else [lane]
    return entries, partial


def _search(client: redis.Redis, lane: str, query: str) -> tuple[list[str], bool]:
    run = client.register_script(script("find"))
    url = query if query.lower().startswith(("http://", "https://")) else ""
    ids, start, count, size = list[str](), "+", 0, 0
    while start and len(ids) < _MAX_FOUND and count < MAX_SEARCHED and size < _MAX_SEARCHED_BYTES:
        arguments = (start, _PART_ENTRIES, _PART_BYTES, url, query, normal_key(query))
        next_start, part_count, part_size, *matches = run(keys=[lane], args=arguments)
        start, count, size = text(next_start), count + int(part_count), size + int(part_size)
        ids += map(text, matches)
    return ids[:_MAX_FOUND], not start


def added_again(client: redis.Redis, lanes: Iterable[str], id_: str) -> list[str]:
    """Return the ids under which lane repairs of the last 7 days added the entry `id_` again.

    Raises redis.RedisError.
    """
    if not is_entry_id(id_):
        return []
    pairs = (pair for lane in lanes for pair in client.hscan_iter(keys.original_ids(lane), count=1000))
    found = [text(fresh, "replace") for fresh, first in pairs if first == id_.encode()]
    return [fresh for fresh in found if is_entry_id(fresh)]


def original_id(client: redis.Redis, lanes: Iterable[str], id_: str) -> str | None:
    """Return the id that the producer received of an entry that has the id `id_` since its lane was repaired, or None.

    Known for 7 days. Raises redis.RedisError.
    """
    found = (text(client.hget(keys.original_ids(lane), id_) or b"", "replace") for lane in lanes)
    return next((first for first in found if is_entry_id(first)), None)


def _on_lane(client: redis.Redis, lane: str, id_: str) -> PendingEntry | None:
    with suppress_wrong_type():
        return _read_entry(client, lane, id_)
    return None


def _read_entry(client: redis.Redis, lane: str, id_: str) -> PendingEntry | None:
    queue = LeaseQueue(client, lane)
    queue.ensure()
    holder, attempts = None, 0
    if fields := _fields(client, lane, id_):
        holder, attempts = _lease(client, lane, id_)
        state = state_of(holder)
    elif fields := _fields(client, queue.aside, id_):
        state = "set aside"
    else:
        return None
    order, arrived_ms = order_of(client.hget(keys.order_ids(lane), id_) or b"")
    arrived = arrived_ms or id_key(order or id_)[0]
    return PendingEntry(
        id=id_,
        lane=lane,
        outcome="pending",
        source=_text(fields.get(b"source")),
        key=_text(fields.get(b"key")),
        state=state,
        holder=holder if state == "processing" else None,
        attempts=attempts,
        waited_seconds=round(max(0.0, server_time(client) - arrived / 1000), 1),
    )


def state_of(holder: str | None) -> str:
    """Return the state of an entry that is pending for the consumer `holder`; None: for nobody."""
    if holder is not None and source_kept_by(holder) is not None:
        return "paused"
    return {None: "waiting", RETURNED: "waiting", PAUSED_LANE: "waiting", DISPATCHED: "dispatched"}.get(
        holder, "processing"
    )


def _lease(client: redis.Redis, lane: str, id_: str) -> tuple[str | None, int]:
    """Return who holds the entry, None if nobody does, and how often it was attempted."""
    lease = next(iter(client.xpending_range(lane, GROUP, id_, id_, 1)), None)
    if lease is None:
        return None, 0
    consumer = lease["consumer"]
    return consumer.decode("utf-8", "replace") if isinstance(consumer, bytes) else None, int(lease["times_delivered"])


def _fields(client: redis.Redis, stream: str, id_: str) -> dict[bytes, bytes]:
    """Return source and key of an entry, and perhaps other fields; empty if it does not exist.

    Large entries are not loaded whole.
    """
    return read_prefix(client, stream, id_, fields=frozenset({b"source", b"key"})).fields


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
