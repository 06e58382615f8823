"""The feed that `copydesk tail` follows: what became of each document, short, as it is settled.

A capped Redis stream and not the receipts table: it reaches a terminal within milliseconds from whatever machine the
worker runs on, and costs the worker one command a batch (a microsecond or two a document), where polling the table for
batches that commit out of order would read the last seconds again and again. It forgets; the receipts are what lasts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from worker.queue.clock import moment
from worker.queue.keys import OUTCOME_FEED

_MOST_ENTRIES = 200
"""Of up to 100 documents each, of about 150 bytes: 3 MB, and at the very most 20."""
_A_ENTRY_HOLDS = 100
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_LONGEST_TEXT = 300  # characters of a key or URL
_MOST_CODES = 5


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """A document's outcome in short. `at`: when it was settled, seconds since 1970."""

    at: float
    id: str
    lane: str
    source: str
    key: str | None
    outcome: str
    url: str | None
    codes: tuple[str, ...]
    worker: str


Row = tuple[str, str, str, str | None, str | None, list[str]]
"""What a document adds to the feed: id, source, outcome, key, URL, codes."""


def publish(pipe: Any, *, lane: str, worker: str, rows: Sequence[Row]) -> None:
    """Add a batch to the feed as part of `pipe`."""
    for start in range(0, len(rows), _A_ENTRY_HOLDS):
        part = [
            (id_, source[:_LONGEST_TEXT], outcome, key and key[:_LONGEST_TEXT], url and url[:_LONGEST_TEXT], codes[:_MOST_CODES])
            for id_, source, outcome, key, url, codes in rows[start : start + _A_ENTRY_HOLDS]
        ]  # fmt: skip
        entry = {"at": f"{time.time():.3f}", "lane": lane, "worker": worker, "told": _encode(part)}
        pipe.xadd(OUTCOME_FEED, entry, maxlen=_MOST_ENTRIES, approximate=True)


def recent(client: redis.Redis, most: int) -> tuple[list[OutcomeRecord], str]:
    """The last `most` documents, oldest first, and the place in the feed after them. Raises redis.RedisError."""
    entries: Any = client.xrevrange(OUTCOME_FEED, count=max(1, most))
    if not entries:
        return [], "0"
    last = entries[0][0].decode()
    found = [one for _, fields in reversed(entries) for one in _parse(fields)]
    return found[-most:] if most else [], last


def follow(client: redis.Redis, after: str, *, block_seconds: float = 2.0) -> Iterator[tuple[str, list[OutcomeRecord]]]:
    """(the place in the feed, what came) for ever; nothing came within `block_seconds`: an empty list.

    Raises redis.RedisError; go on with the place given last.
    """
    while True:
        # Shorter than the socket's time-out, or a quiet feed would look like a lost server.
        reply: Any = client.xread({OUTCOME_FEED: after}, count=50, block=int(block_seconds * 1000))
        found: list[OutcomeRecord] = []
        for _, entries in reply or ():
            for id_, fields in entries:
                after = id_.decode()
                found += _parse(fields)
        yield after, found


def after(client: redis.Redis, place: str) -> tuple[list[OutcomeRecord], str]:
    """What came after a place in the feed, without waiting, and the place after it. Raises redis.RedisError."""
    reply: Any = client.xread({OUTCOME_FEED: place}, count=_MOST_ENTRIES)
    found: list[OutcomeRecord] = []
    for _, entries in reply or ():
        for id_, fields in entries:
            place = id_.decode()
            found += _parse(fields)
    return found, place


def _parse(fields: dict[bytes, bytes]) -> list[OutcomeRecord]:
    """Whatever else somebody put on the stream is passed over."""
    try:
        at, lane, worker = moment(fields[b"at"]), fields[b"lane"].decode(), fields[b"worker"].decode()
        return [
            OutcomeRecord(
                at, str(id_), lane, str(source), _text(key), str(outcome), _text(url), tuple(map(str, codes)), worker
            )
            for id_, source, outcome, key, url, codes in json.loads(fields[b"told"])
        ]
    except (KeyError, ValueError, TypeError, RecursionError):
        return []


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
