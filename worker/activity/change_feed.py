"""The change feed: a capped stream that says which articles and stories changed, for whoever builds on the store.

At least once, and after the commit: a change is put there before its document is settled, so a worker that dies between
the two leads to a repeat, not to a gap. The store stays the truth; who has fallen behind the cap reads it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Protocol

import redis

from schemas.change import Change
from schemas.receipt import Outcome
from worker.queue.keys import CHANGE_FEED

_MAX_ENTRIES = 100_000  # entries; about 20 MB of Redis
_CHANGING = frozenset({Outcome.STORED, Outcome.UPDATED, Outcome.RETRACTED})


class Settled(Protocol):
    """A version of a document that has its outcome."""

    outcome: Outcome | None
    article_id: int | None
    url: str | None
    source: str
    key: str | None


def changes_of(versions: Iterable[Settled], now: datetime) -> Iterator[Change]:
    """What the versions of a batch changed at `now`; those that are unchanged, superseded or rejected did not."""
    for version in versions:
        if version.outcome in _CHANGING:
            yield Change(
                what="article", id=version.article_id, outcome=version.outcome.value, url=version.url,
                source=version.source, key=version.key, at=now,
            )  # fmt: skip


def append(pipe: Any, changes: Iterable[Change]) -> None:
    """Append `changes`, in order, as part of `pipe`."""
    for change in changes:
        fields = {name: str(value) for name, value in change.model_dump(mode="json", exclude_none=True).items()}
        pipe.xadd(CHANGE_FEED, fields, maxlen=_MAX_ENTRIES, approximate=True)


def publish(client: redis.Redis, changes: Iterable[Change]) -> None:
    """Append `changes`, in order. Raises redis.RedisError."""
    with client.pipeline(transaction=False) as pipe:
        append(pipe, changes)
        if len(pipe):
            pipe.execute()
