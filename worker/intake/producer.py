"""For crawlers in Python: put documents on a lane. Needs a Redis client, and neither Celery nor SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import redis


@dataclass(frozen=True, slots=True)
class Submission:
    """What is pushed: the fields of the producer's contract. `label` is the caller's own, and is not sent."""

    raw: bytes | None
    source: str | None = None
    key: str | None = None
    op: str | None = None
    reply_to: str | None = None
    traceparent: str | None = None
    label: str = ""

    def fields(self) -> dict[Any, Any]:
        """The stream entry; what is not set is not sent."""
        values = {
            "raw": self.raw, "source": self.source, "key": self.key, "op": self.op,
            "reply_to": self.reply_to, "traceparent": self.traceparent,
        }  # fmt: skip
        return {name: value for name, value in values.items() if value is not None}


def submit_entry(
    client: redis.Redis, lane: str, raw: bytes | None, *, source: str | None = None, key: str | None = None,
    op: str | None = None, reply_to: str | None = None,
) -> str:  # fmt: skip
    """Append one document, or a retraction (`op="retract"`, no `raw`); returns its receipt id."""
    submission = Submission(raw, source, key, op, reply_to)
    id_ = client.xadd(lane, submission.fields())
    return id_.decode() if isinstance(id_, bytes) else str(id_)


def submit_many(
    client: redis.Redis, lane: str, submissions: Iterable[Submission], *, chunk: int = 200
) -> Iterator[tuple[Submission, str]]:
    """Append many, pipelined; yields each with its receipt id, in order."""
    rest = iter(submissions)
    while part := list(islice(rest, chunk)):
        with client.pipeline(transaction=False) as pipe:
            for submission in part:
                pipe.xadd(lane, submission.fields())
            ids = pipe.execute()
        for submission, id_ in zip(part, ids, strict=True):
            yield submission, id_.decode() if isinstance(id_, bytes) else str(id_)
