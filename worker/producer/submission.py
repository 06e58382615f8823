"""What producers send and receive, without I/O. Both clients (sync, asyncio) use it."""

from __future__ import annotations

import math
import re
import uuid
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from schemas.problem import Problem
from schemas.receipt import Receipt
from worker.errors import CopydeskError, Exit
from worker.queue import keys
from worker.queue.replies import text

if TYPE_CHECKING:
    # `check` needs no server, and importing redis is a third of its start-up time.
    from redis.typing import EncodableT, FieldT

TOKEN_SECONDS = 600
"""How long the server keeps a token after the producer's last try at least, so that it recognises a late retry too."""
MAX_TIMEOUT_SECONDS = 300
LONGEST_TOKEN_SECONDS = TOKEN_SECONDS + MAX_TIMEOUT_SECONDS
CHUNK_DOCUMENTS = 200
CHUNK_BYTES = 4 << 20
_MAX_RECEIPTS = 20_000
_MAX_UNKNOWN = 16
_MAX_UNKNOWN_NAME = 80  # characters
_SENT = ("raw", "source", "key", "op", "reply_to", "traceparent")


class SubmissionUnsure(CopydeskError):
    """Raised when the server does not answer within the producer's time-out. The documents may be on the lane or not.

    Within ten minutes `Producer.retry`, or a submission with this error's `idempotency_key`, repeats it safely: no
    document is added twice.
    """

    exit_code = Exit.UNREACHABLE

    def __init__(self, idempotency_key: str, submissions: Sequence[Submission], cause: Exception) -> None:
        why = f"{cause} (a worker loads it when it starts)" if is_unknown_function(cause) else str(cause)
        super().__init__(
            f"no answer to {len(submissions)} documents; retry with idempotency_key={idempotency_key!r}: {why}"
        )
        self.idempotency_key = idempotency_key
        self.submissions = tuple(submissions)

    @property
    def once(self) -> str:
        """The old name of `idempotency_key`, kept for one release."""
        warnings.warn("once is now idempotency_key", DeprecationWarning, stacklevel=2)
        return self.idempotency_key


def encoded(text: str) -> bytes:
    """Return `text` in UTF-8. A lone surrogate is sent as it is: the worker rejects that document alone, and says where."""
    return text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Submission:
    """One document to send: the fields of the producer's contract. `label` is for the caller's use and is not sent.

    `unknown`: names of fields that the contract does not have. They are sent without their values, so that the receipt
    has a warning for each.
    """

    raw: bytes | None
    source: str | None = None
    key: str | None = None
    op: str | None = None
    reply_to: str | None = None
    traceparent: str | None = None
    label: str = ""
    unknown: tuple[str, ...] = ()

    def fields(self) -> dict[FieldT, EncodableT]:
        """Return the fields of the stream entry, without those that are None. Texts are encoded."""
        values = ((name, getattr(self, name)) for name in _SENT)
        fields: dict[FieldT, EncodableT] = {
            name: encoded(value) if isinstance(value, str) else value for name, value in values if value is not None
        }
        fields.update((encoded(name[:_MAX_UNKNOWN_NAME]), b"") for name in self.unknown[:_MAX_UNKNOWN])
        return fields


@dataclass(frozen=True, slots=True)
class ProducerConfig:
    """The defaults of a producer for fields that a submission does not set. `name` is part of its keys in Redis."""

    lane: str
    source: str | None
    name: str
    replies: str | None

    @classmethod
    def of(cls, url: str, lane: str, source: str | None, name: str | None, *, receipts: bool) -> ProducerConfig:
        """Build the configuration. The default name is the URL's user, as the ACL file requires, else the source."""
        user = unquote(urlsplit(url).username or "") if "://" in url else ""
        chosen = re.sub(r"[^A-Za-z0-9_.-]", "-", name or user or source or "anyone")[:60]
        return cls(lane, source, chosen, keys.replies(chosen, uuid.uuid4().hex) if receipts else None)

    def token(self) -> str:
        return uuid.uuid4().hex

    def complete(self, given: Submission | bytes | str) -> Submission:
        if isinstance(given, str):
            given = encoded(given)
        submission = given if isinstance(given, Submission) else Submission(given)
        return replace(
            submission, source=submission.source or self.source, reply_to=submission.reply_to or self.replies
        )

    def call(self, idempotency_key: str, submissions: Sequence[Submission], timeout: float) -> list[EncodableT]:
        """Return the arguments of the stored function: its key, then the lane, the token's expiry and the documents.

        A first try may reach the server although its answer is lost, and the last one follows up to `timeout` later.
        """
        expiry = TOKEN_SECONDS + math.ceil(timeout)
        arguments: list[EncodableT] = [keys.token(self.name, idempotency_key), self.lane, expiry]
        for submission in submissions:
            flat = [part for pair in submission.fields().items() for part in pair]
            arguments += [len(flat), *flat]
        return arguments

    def slow_down_keys(self) -> list[str]:
        """Return the key of this lane, then the one for all lanes, which applies if no worker serves this lane."""
        return [keys.slow_down(self.lane), keys.SLOW_DOWN]


def chunks(submissions: Iterable[Submission], documents: int = CHUNK_DOCUMENTS) -> Iterator[list[Submission]]:
    """Split submissions into parts that fit into one command: at most `documents` of them and about `CHUNK_BYTES`."""
    part: list[Submission] = []
    size = 0
    for submission in submissions:
        length = len(submission.raw or b"")
        if part and (len(part) >= documents or size + length > CHUNK_BYTES):
            yield part
            part, size = [], 0
        part.append(submission)
        size += length
    if part:
        yield part


def ids_of(reply: bytes | str) -> list[str]:
    """Return the receipt ids in the stored function's reply."""
    return text(reply).split(" ")


def seconds_of(values: Iterable[bytes | str | None]) -> float:
    """Return how many seconds a polite producer waits now, at most 60: the first usable value of `values`.

    Without a value no worker runs. The result is then 0, because the documents can wait on the lane.
    """
    for value in values:
        if value is not None:
            try:
                seconds = float(text(value))
            except ValueError:
                continue
            if not math.isnan(seconds):
                return min(max(seconds, 0.0), 60.0)
    return 0.0


def is_retryable(error: BaseException) -> bool:
    """Whether a retry may help. It cannot if the server refuses the login."""
    import redis  # imported here for the reason given above

    transient = (
        redis.ConnectionError,
        redis.TimeoutError,
        redis.ReadOnlyError,
        redis.exceptions.MasterDownError,
        redis.exceptions.TryAgainError,
        redis.OutOfMemoryError,
        OSError,
    )
    return isinstance(error, transient) and not isinstance(error, redis.AuthenticationError)


def is_unknown_function(error: BaseException) -> bool:
    """Whether the server does not have the stored function."""
    import redis  # imported here for the reason given above

    return isinstance(error, redis.ResponseError) and "unction not found" in str(error)


class ReceiptBuffer:
    """The newest 20,000 receipts that arrived on a producer's stream."""

    def __init__(self) -> None:
        self.last = "0"
        self._arrived: OrderedDict[str, Receipt] = OrderedDict()

    def feed(self, reply: Any) -> int:
        """Store the receipts in a reply of XREAD; return how many. Entries that are not receipts are skipped."""
        streams = reply.items() if isinstance(reply, dict) else reply or ()
        count = 0
        for _, entries in streams:
            for id_, fields in chain.from_iterable(entries) if isinstance(reply, dict) else entries:
                self.last = text(id_)
                try:
                    receipt = Receipt.model_validate_json(fields.get(b"receipt") or fields.get("receipt") or b"")
                except ValueError:
                    continue
                self._arrived[receipt.id] = receipt
                count += 1
        while len(self._arrived) > _MAX_RECEIPTS:
            self._arrived.popitem(last=False)
        return count

    def take(self, ids: Iterable[str]) -> dict[str, Receipt]:
        """Return the receipts of `ids` that have arrived. They stay in the buffer."""
        return {id_: self._arrived[id_] for id_ in ids if id_ in self._arrived}


def still_pending(id_: str, config: ProducerConfig) -> Receipt:
    """Return the receipt for a document without one at the time-out. The caller may ask again later."""
    return Receipt(id=id_, lane=config.lane, source=config.source or "", outcome="pending")


def check(raw: bytes | str, *, key: str | None = None) -> tuple[Problem, ...]:
    """Validate a document offline; return the problems that a worker would find.

    A document without a problem of severity `error` is accepted. Pass `key` if you submit the document with one.
    """
    from worker.documents.validation import read

    return read(encoded(raw) if isinstance(raw, str) else raw, has_key=key is not None).problems
