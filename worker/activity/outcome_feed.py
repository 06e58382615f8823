"""The feed that `copydesk tail` follows: the outcome of each document in short, added when the document is settled.

It is a capped Redis stream and not the table of receipts. It reaches a terminal within milliseconds from any machine,
and costs the worker one command per batch (1 to 2 µs per document). Batches commit out of order, so polling the table
would read the last seconds again and again. The stream drops old entries; the receipts are the permanent record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import redis
from redis.client import Pipeline
from redis.typing import EncodableT, FieldT

from worker.queue.clock import moment
from worker.queue.keys import OUTCOME_FEED

_MAX_ENTRIES = 200
"""Each entry holds up to 100 documents of about 150 bytes: 3 MB in all, and at most 20 MB."""
_DOCUMENTS_PER_ENTRY = 100
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_MAX_TEXT = 300  # characters of a key or URL
_MAX_CODES = 5


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """A document's outcome in short. `at` is when it was settled, in seconds since 1970, by Redis's clock."""

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
Entries = list[tuple[bytes, dict[bytes, bytes]]]
"""Entries of a stream. redis-py types the replies of its two kinds of client together, so it does not know this type."""


def publish(pipe: Pipeline, *, lane: str, worker: str, rows: Sequence[Row]) -> None:
    """Add the documents of a batch to the feed, as part of the pipeline `pipe`."""
    for start in range(0, len(rows), _DOCUMENTS_PER_ENTRY):
        part = [
            (id_, _clip(source), outcome, _clip(key), _clip(url), codes[:_MAX_CODES])
            for id_, source, outcome, key, url, codes in rows[start : start + _DOCUMENTS_PER_ENTRY]
        ]
        entry: dict[FieldT, EncodableT] = {
            "lane": lane,
            "worker": worker,
            "told": _encode(part),
        }
        pipe.xadd(OUTCOME_FEED, entry, maxlen=_MAX_ENTRIES, approximate=True)


def _clip(text: str | None) -> str | None:
    return text[:_MAX_TEXT] if text else text


def recent(client: redis.Redis, limit: int) -> tuple[list[OutcomeRecord], str]:
    """Return the last `limit` documents, oldest first, and the position in the feed after them.

    Raises redis.RedisError.
    """
    entries: Entries = client.xrevrange(OUTCOME_FEED, count=max(1, limit))  # type: ignore[assignment]  # see Entries
    if not entries:
        return [], "0"
    records = [record for id_, fields in reversed(entries) for record in _parse(id_, fields)]
    return records[-limit:] if limit else [], entries[0][0].decode()


def follow(
    client: redis.Redis, position: str, *, block_seconds: float = 2.0
) -> Iterator[tuple[str, list[OutcomeRecord]]]:
    """Yield (position in the feed, new outcomes) forever, with an empty list when none arrives within `block_seconds`.

    Raises redis.RedisError; then call again with the last position.
    """
    while True:
        # The block must be shorter than the socket's time-out. Otherwise a quiet feed looks like a lost server.
        records, position = _read(client, position, 50, block=int(block_seconds * 1000))
        yield position, records


def after(client: redis.Redis, position: str) -> tuple[list[OutcomeRecord], str]:
    """Return the outcomes after a position in the feed and the new position, without waiting.

    Raises redis.RedisError.
    """
    return _read(client, position, _MAX_ENTRIES)


def _read(
    client: redis.Redis, position: str, count: int, *, block: int | None = None
) -> tuple[list[OutcomeRecord], str]:
    reply: list[tuple[bytes, Entries]] = client.xread({OUTCOME_FEED: position}, count=count, block=block)  # type: ignore[assignment]  # see Entries
    records: list[OutcomeRecord] = []
    for _, entries in reply or ():
        for id_, fields in entries:
            position = id_.decode()
            records += _parse(id_, fields)
    return records, position


def _parse(entry_id: bytes, fields: dict[bytes, bytes]) -> list[OutcomeRecord]:
    """Return the outcomes in an entry of the stream; an entry of another form gives none. Its id is its time."""
    try:
        at, lane, worker = (
            moment(int(entry_id.partition(b"-")[0]) / 1000),
            fields[b"lane"].decode(),
            fields[b"worker"].decode(),
        )
        return [
            OutcomeRecord(
                at, str(id_), lane, str(source), _text(key), str(outcome), _text(url), tuple(map(str, codes)), worker
            )
            for id_, source, outcome, key, url, codes in json.loads(fields[b"told"])
        ]
    except (KeyError, ValueError, TypeError, RecursionError):
        return []


def _text(value: object) -> str | None:
    return None if value is None else str(value)
