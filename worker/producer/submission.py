"""What producers send and get back, without I/O: the part that the two clients (sync, asyncio) have in common."""

from __future__ import annotations

import re
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from schemas.problem import Problem
from schemas.receipt import Receipt
from worker.errors import CopydeskError, Exit
from worker.queue import keys

TOKEN_SECONDS = 600
"""How long the server remembers a token; far longer than any retry, so that a late one is recognised too."""
MAX_TIMEOUT_SECONDS = TOKEN_SECONDS / 2
CHUNK_DOCUMENTS = 200
CHUNK_BYTES = 4 << 20
_MAX_RECEIPTS = 20_000


class SubmissionUnsure(CopydeskError):
    """The server did not answer within the producer's patience: the documents may be on the lane, or not.

    Asking again with the same `once` within ten minutes settles it, and cannot double them.
    """

    exit_code = Exit.UNREACHABLE

    def __init__(self, once: str, submissions: Sequence[Submission], cause: Exception) -> None:
        why = f"{cause} (a worker loads it when it starts)" if is_unknown_function(cause) else str(cause)
        super().__init__(f"no answer to {len(submissions)} documents; ask again with idempotency_key={once!r}: {why}")
        self.once = once
        self.submissions = tuple(submissions)


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


@dataclass(frozen=True, slots=True)
class ProducerConfig:
    """What a producer fills in where a submission says nothing. `name` is part of its keys in the server."""

    lane: str
    source: str | None
    name: str
    replies: str | None

    @classmethod
    def of(cls, url: str, lane: str, source: str | None, name: str | None, *, receipts: bool) -> ProducerConfig:
        """By default its name is the user of the URL, as the ACL file asks for, else the source."""
        user = unquote(urlsplit(url).username or "") if "://" in url else ""
        chosen = re.sub(r"[^A-Za-z0-9_.-]", "-", name or user or source or "anyone")[:60]
        return cls(lane, source, chosen, keys.replies(chosen, uuid.uuid4().hex) if receipts else None)

    def token(self) -> str:
        return uuid.uuid4().hex

    def complete(self, given: Submission | bytes | str) -> Submission:
        if isinstance(given, str):
            given = given.encode("utf-8")
        submission = given if isinstance(given, Submission) else Submission(given)
        return replace(
            submission, source=submission.source or self.source, reply_to=submission.reply_to or self.replies
        )

    def call(self, idempotency_key: str, submissions: Sequence[Submission]) -> list[Any]:
        """The arguments of the stored function: one key, then the lane and the documents."""
        arguments: list[Any] = [1, keys.token(self.name, idempotency_key), self.lane, TOKEN_SECONDS]
        for submission in submissions:
            flat = [part for pair in submission.fields().items() for part in pair]
            arguments += [len(flat), *flat]
        return arguments

    def slow_down_keys(self) -> list[str]:
        """The lane's own, and the whole desk's for a worker that serves no such lane."""
        return [keys.slow_down(self.lane), keys.SLOW_DOWN]


def chunks(submissions: Iterable[Submission]) -> Iterator[list[Submission]]:
    """Cut into parts that are small enough to be one command."""
    part: list[Submission] = []
    size = 0
    for submission in submissions:
        length = len(submission.raw or b"")
        if part and (len(part) >= CHUNK_DOCUMENTS or size + length > CHUNK_BYTES):
            yield part
            part, size = [], 0
        part.append(submission)
        size += length
    if part:
        yield part


def ids_of(reply: Any) -> list[str]:
    """The receipt ids in the stored function's answer."""
    return text(reply).split(" ")


def seconds_of(values: Iterable[Any]) -> float:
    """How long a polite producer waits now; without a worker alive (no value) the documents wait on the lane."""
    for value in values:
        if value is not None:
            try:
                return min(max(float(text(value)), 0.0), 60.0)
            except ValueError:
                continue
    return 0.0


def is_passing(error: BaseException) -> bool:
    """Whether trying again may help: not where the server refuses who we are."""
    import redis  # here, because `check` knows submissions and no server: a third of its start

    transient = (
        redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError, redis.exceptions.MasterDownError,
        redis.exceptions.TryAgainError, redis.OutOfMemoryError, OSError,
    )  # fmt: skip
    return isinstance(error, transient) and not isinstance(error, redis.AuthenticationError)


def is_unknown_function(error: BaseException) -> bool:
    import redis  # as above

    return isinstance(error, redis.ResponseError) and "unction not found" in str(error)


class ReceiptBuffer:
    """The receipts that came on a producer's stream; the newest are kept until somebody asks."""

    def __init__(self) -> None:
        self.last = "0"
        self._came: OrderedDict[str, Receipt] = OrderedDict()

    def feed(self, reply: Any) -> int:
        """Take in what XREAD returned; returns how many receipts that were. What is no receipt is passed over."""
        streams = reply.items() if isinstance(reply, dict) else reply or ()
        count = 0
        for _, entries in streams:
            for part in entries if not isinstance(reply, dict) else (e for batch in entries for e in batch):
                id_, fields = part
                self.last = text(id_)
                try:
                    receipt = Receipt.model_validate_json(fields.get(b"receipt") or fields.get("receipt") or b"")
                except ValueError:
                    continue
                self._came[receipt.id] = receipt
                count += 1
        while len(self._came) > _MAX_RECEIPTS:
            self._came.popitem(last=False)
        return count

    def take(self, wanted: Iterable[str]) -> dict[str, Receipt]:
        """Those of `wanted` that have come; they stay for others who ask."""
        return {id_: self._came[id_] for id_ in wanted if id_ in self._came}


def still_pending(id_: str, sender: ProducerConfig) -> Receipt:
    """What `wait` returns when the time is up: unknown, late or not read yet; asking again later is fine."""
    return Receipt(id=id_, lane=sender.lane, source=sender.source or "", outcome="pending")


def check(raw: bytes | str, *, key: str | None = None) -> tuple[Problem, ...]:
    """Say offline what the desk would say of a document; with no error among the problems it is accepted."""
    from worker.documents.validation import read

    return read(raw.encode("utf-8") if isinstance(raw, str) else raw, has_key=key is not None).problems


def text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
