"""The feed that `copydesk tail` follows: the outcome of each document in short, added when the document is settled.

It is a capped Redis stream and not the table of receipts. It reaches a terminal within milliseconds from any machine,
and costs the worker one command per batch (1 to 2 µs per document). Batches commit out of order, so polling the table
would read the last seconds again and again. The stream drops old entries; the receipts are the permanent record.
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
"""Each entry holds up to 100 documents of about 150 bytes: 3 MB in all, and at most 20 MB."""
_A_ENTRY_HOLDS = 100
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_LONGEST_TEXT = 300  # characters of a key or URL
_MOST_CODES = 5


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """A document's outcome in short. `at` is when it was settled, in seconds since 1970."""

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
"""One document in the feed: id, source, outcome, key, URL, problem codes."""


def publish(pipe: Any, *, lane: str, worker: str, rows: Sequence[Row]) -> None:
    """Add the documents of a batch to the feed, as part of the pipeline `pipe`."""
    for start in range(0, len(rows), _A_ENTRY_HOLDS):
        part = [
            (id_, source[:_LONGEST_TEXT], outcome, key and key[:_LONGEST_TEXT], url and url[:_LONGEST_TEXT], codes[:_MOST_CODES])
            for id_, source, outcome, key, url, codes in rows[start : start + _A_ENTRY_HOLDS]
        ]  # fmt: skip
        entry = {"at": f"{time.time():.3f}", "lane": lane, "worker": worker, "told": _encode(part)}
        pipe.xadd(OUTCOME_FEED, entry, maxlen=_MOST_ENTRIES, approximate=True)


def recent(client: redis.Redis, most: int) -> tuple[list[OutcomeRecord], str]:
    """Return the last `most` documents, oldest first, and the position in the feed after them.

    Raises redis.RedisError.
    """
    entries: Any = client.xrevrange(OUTCOME_FEED, count=max(1, most))
    if not entries:
        return [], "0"
    last = entries[0][0].decode()
    found = [one for _, fields in reversed(entries) for one in _parse(fields)]
    return found[-most:] if most else [], last


def follow(client: redis.Redis, after: str, *, block_seconds: float = 2.0) -> Iterator[tuple[str, list[OutcomeRecord]]]:
    """Yield (position in the feed, new outcomes) forever, with an empty list when none arrives within `block_seconds`.

    Raises redis.RedisError; then call again with the last position.
    """
    while True:
        # The block must be shorter than the socket's time-out. Otherwise a quiet feed looks like a lost server.
        reply: Any = client.xread({OUTCOME_FEED: after}, count=50, block=int(block_seconds * 1000))
        found: list[OutcomeRecord] = []
        for _, entries in reply or ():
            for id_, fields in entries:
                after = id_.decode()
                found += _parse(fields)
        yield after, found


def after(client: redis.Redis, place: str) -> tuple[list[OutcomeRecord], str]:
    """Return the outcomes after a position in the feed and the new position, without waiting.

    Raises redis.RedisError.
    """
    reply: Any = client.xread({OUTCOME_FEED: place}, count=_MOST_ENTRIES)
    found: list[OutcomeRecord] = []
    for _, entries in reply or ():
        for id_, fields in entries:
            place = id_.decode()
            found += _parse(fields)
    return found, place


def _parse(fields: dict[bytes, bytes]) -> list[OutcomeRecord]:
    """Return the outcomes in an entry of the stream; an entry of another form gives none."""
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
