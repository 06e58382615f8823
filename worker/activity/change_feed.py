"""The change feed: a capped stream of the articles and stories that changed, for programs that read the store.

Delivery is at least once, and after the commit. A change is added before its document is settled, so a worker that
crashes between the two causes a repetition, not a gap. The store is the source of truth: a reader that falls behind the
cap must read the store again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

import redis
from redis.client import Pipeline
from redis.exceptions import OutOfMemoryError
from redis.typing import EncodableT, FieldT

from schemas.change import Change
from schemas.receipt import Outcome
from worker.queue.keys import CHANGE_FEED
from worker.queue.urgent_writes import write_when_full

_MAX_ENTRIES = 100_000  # about 20 MB of Redis memory
_CHANGING = frozenset({Outcome.STORED, Outcome.UPDATED, Outcome.RETRACTED})


class Settled(Protocol):
    """The fields of a document's version that this module reads, after the version has its outcome."""

    outcome: Outcome | None
    article_id: int | None
    url: str | None
    source: str
    key: str | None


def changes_of(versions: Iterable[Settled], now: datetime) -> Iterator[Change]:
    """Yield the changes that the versions of a batch made at `now`: those that are stored, updated or retracted."""
    for version in versions:
        if version.outcome in _CHANGING:
            yield Change(
                what="article",
                id=version.article_id,
                outcome=version.outcome.value,
                url=version.url,
                source=version.source,
                key=version.key,
                at=now,
            )


def append(pipe: Pipeline, changes: Iterable[Change]) -> None:
    """Append `changes` to the feed, in order, as part of the pipeline `pipe`."""
    for change in changes:
        pipe.xadd(CHANGE_FEED, _fields(change), maxlen=_MAX_ENTRIES, approximate=True)


def append_refused(client: redis.Redis, changes: Sequence[Change], replies: Sequence[object]) -> None:
    """Append those of `changes` that Redis refused because it was out of memory. `replies`: the answers to `append`.

    A change that is never added would be a gap, and the feed is capped. Raises redis.RedisError.
    """
    for change, reply in zip(changes, replies, strict=True):
        if isinstance(reply, OutOfMemoryError):
            flat = [part for pair in _fields(change).items() for part in pair]
            write_when_full(client, "XADD", CHANGE_FEED, "MAXLEN", "~", _MAX_ENTRIES, "*", *flat)


def _fields(change: Change) -> dict[FieldT, EncodableT]:
    return {name: str(value) for name, value in change.model_dump(mode="json", exclude_none=True).items()}


def publish(client: redis.Redis, changes: Iterable[Change]) -> None:
    """Append `changes` to the feed, in order. Raises redis.RedisError."""
    with client.pipeline(transaction=False) as pipe:
        append(pipe, changes)
        if len(pipe):
            pipe.execute()
