"""Find an entry that has no outcome yet: its lane, its state and the worker that holds it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TypedDict

import redis

from worker.queue import keys
from worker.queue.lease_queue import DISPATCHED, GROUP, PAUSED_LANE, RETURNED, LeaseQueue, id_key, is_entry_id
from worker.queue.oversized import read_prefix
from worker.queue.pauses.source_pauses import source_kept_by
from worker.queue.replies import suppress_wrong_type, text

_SHOWN_CHARACTERS = 300


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


def added_again(client: redis.Redis, lanes: Iterable[str], id_: str) -> list[str]:
    """Return the ids under which lane repairs of the last 7 days added the entry `id_` again.

    Raises redis.RedisError.
    """
    if not is_entry_id(id_):
        return []
    pairs = (pair for lane in lanes for pair in client.hscan_iter(keys.original_ids(lane), count=1000))
    return [fresh.decode() for fresh, first in pairs if first == id_.encode()]


def original_id(client: redis.Redis, lanes: Iterable[str], id_: str) -> str | None:
    """Return the id that the producer received of an entry that has the id `id_` since its lane was repaired, or None.

    Known for 7 days. Raises redis.RedisError.
    """
    found = (client.hget(keys.original_ids(lane), id_) for lane in lanes)
    return next((text(first) for first in found if first is not None), None)


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
    order, _, arrived_ms = text(client.hget(keys.order_ids(lane), id_) or id_).partition(" ")
    return PendingEntry(
        id=id_,
        lane=lane,
        outcome="pending",
        source=_text(fields.get(b"source")),
        key=_text(fields.get(b"key")),
        state=state,
        holder=holder if state == "processing" else None,
        attempts=attempts,
        waited_seconds=round(max(0.0, time.time() - int(arrived_ms or id_key(order)[0]) / 1000), 1),
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
