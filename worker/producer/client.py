"""The client for crawlers in Python: add documents to a lane and read their outcomes. Needs neither Celery nor SQL.

    with Producer("redis://localhost", source="my-crawler") as producer:
        id_ = producer.submit(raw, key="stories/1.md")
        print(producer.wait(id_).outcome)

A submission whose answer is lost is sent again with the same idempotency token. For ten minutes after the last try the
server adds it only once, whichever of the requests arrive and in whatever order (see `worker/queue/lua/functions.lua`).
A server that loses the document (a crash without `appendfsync always`, a failover) loses the token with it.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType

import redis

from schemas.receipt import Receipt
from worker.producer.async_client import AsyncProducer
from worker.producer.base import READ_COUNT, READ_RETRY_SECONDS, AwaitedReceipts, ProducerBase
from worker.producer.deprecation import renamed_parameters
from worker.producer.submission import (
    Submission,
    SubmissionUnsure,
    check,
    chunks,
    encoded,
    ids_of,
    is_retryable,
    is_unknown_function,
    seconds_of,
)
from worker.queue.connection import connect
from worker.queue.server_functions import SUBMIT, load_functions


class Producer(ProducerBase):
    """A crawler's connection to one lane. Threads may share it.

    `lane` is where its documents go, and `source` is their default source. `name` is part of the names of its keys in
    Redis (`replies:NAME:…`, `once:NAME:…`); the default is the user of the URL, else the source. `timeout` limits all
    tries of one submission, in seconds (above 0, at most 300). `polite` waits before a submission when the workers
    request it. `receipts` requests a receipt for each document.

    Raises ValueError for an unusable URL or time-out. The methods that submit raise SubmissionUnsure when the server
    does not answer in time, and redis.RedisError when it refuses.
    """

    def _open(self, url: str) -> None:
        self._client = connect(url, retries=0)
        self._arrivals = threading.Condition()
        self._is_reading = False

    def __enter__(self) -> Producer:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    @renamed_parameters(once="idempotency_key")
    def submit(
        self,
        raw: bytes | str,
        *,
        source: str | None = None,
        key: str | None = None,
        traceparent: str | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Add one document to the lane and return its receipt id.

        `idempotency_key` is the caller's own token. A second call with the same token within ten minutes returns the
        same id and adds nothing.
        """
        body = encoded(raw) if isinstance(raw, str) else raw
        self._wait_politely()
        return self._send([Submission(body, source, key, traceparent=traceparent)], idempotency_key)[0]

    def retry(self, unsure: SubmissionUnsure) -> list[str]:
        """Repeat a submission that got no answer and return its receipt ids. No document is added twice."""
        return self._send(list(unsure.submissions), unsure.idempotency_key)

    def again(self, unsure: SubmissionUnsure) -> list[str]:
        """Call `retry`, which replaces this name; kept for one release."""
        warnings.warn("again is now retry", DeprecationWarning, stacklevel=2)
        return self.retry(unsure)

    @renamed_parameters(once="idempotency_key")
    def retract(self, key: str, *, source: str | None = None, idempotency_key: str | None = None) -> str:
        """Retract the document with this key, or all documents of the source that describe this URL.

        Returns the receipt id of the retraction.
        """
        return self._send([Submission(None, source, key, op="retract")], idempotency_key)[0]

    def submit_many(
        self, documents: Iterable[Submission | bytes | str], *, progress: Callable[[int], None] | None = None
    ) -> Iterator[tuple[Submission, str]]:
        """Add many documents to the lane, up to 200 in a command; yield each with its receipt id, in order.

        A polite producer waits between commands when the workers request it. `progress` is called with the number of
        documents sent so far.
        """
        count = 0
        for part in chunks(self._config.complete(document) for document in documents):
            self._wait_politely()
            ids = self._send(part, None)
            count += len(part)
            if progress is not None:
                progress(count)
            yield from zip(part, ids, strict=True)

    def wait(self, id_: str, *, timeout: float = 30) -> Receipt:
        """Return a document's receipt, or after `timeout` seconds one whose outcome is `pending`; then call again."""
        return self.wait_many([id_], timeout=timeout)[id_]

    def wait_many(self, ids: Iterable[str], *, timeout: float = 30) -> dict[str, Receipt]:
        """Return the receipt of each of `ids`, in their order; like `wait`, with one `timeout` for all."""
        awaited = AwaitedReceipts(ids, timeout)
        while True:
            with self._arrivals:
                seconds = awaited.take(self._receipts)
                if not seconds:
                    return awaited.result(self._config)
                if self._is_reading:
                    self._arrivals.wait(seconds)
                    continue
                self._is_reading = True
            self._read_for_all(seconds)

    def collect(self, ids: Iterable[str]) -> dict[str, Receipt]:
        """Return the receipts of `ids` that have arrived, without waiting.

        Call it now and then while you send many documents. The stream holds 10,000 receipts and the producer the newest
        20,000. Older ones are dropped.
        """
        with self._arrivals:
            reads, self._is_reading = not self._is_reading, True
        if reads:
            self._read_for_all(0)
        with self._arrivals:
            return self._receipts.take(ids)

    def _read_for_all(self, block: float) -> None:
        try:
            self._read(block)
        finally:
            with self._arrivals:
                self._is_reading = False
                self._arrivals.notify_all()

    def _read(self, block: float) -> None:
        positions = self._reply_positions()
        try:
            reply = self._client.xread(positions, count=READ_COUNT, block=max(1, int(block * 1000)))
        except redis.RedisError as error:
            if not is_retryable(error):
                raise
            time.sleep(READ_RETRY_SECONDS)
            return
        with self._arrivals:
            self._receipts.feed(reply)

    def _wait_politely(self) -> None:
        if not self._polite:
            return
        try:
            values = self._client.mget(self._config.slow_down_keys())
        except redis.RedisError as error:
            if not is_retryable(error):
                raise
            return
        seconds = seconds_of(values)
        if seconds:
            time.sleep(seconds)

    def _send(self, part: list[Submission], idempotency_key: str | None) -> list[str]:
        request = self._request(part, idempotency_key)
        while True:
            try:
                return ids_of(self._client.fcall(SUBMIT, 1, *request.arguments))
            except (redis.RedisError, OSError) as error:
                if is_unknown_function(error) and self._load():
                    continue
                pause = request.pause_after(error)
            time.sleep(pause)

    def _load(self) -> bool:
        """Load the function again on a server that lost its data; return whether it was loaded.

        A crawler's user is mostly not permitted to load it. The next worker that starts loads it then.
        """
        try:
            return load_functions(self._client)
        except redis.exceptions.NoPermissionError:
            return False
        except redis.RedisError as error:
            if not is_retryable(error):
                raise
            return False


def submit_entry(
    client: redis.Redis,
    lane: str,
    raw: bytes | None,
    *,
    source: str | None = None,
    key: str | None = None,
    op: str | None = None,
    reply_to: str | None = None,
) -> str:
    """Append one document, or a retraction (`op="retract"`, no `raw`), by a plain XADD; return its receipt id.

    A retry may add the document twice. Raises redis.RedisError.
    """
    submission = Submission(raw, source, key, op, reply_to)
    id_ = client.xadd(lane, submission.fields())
    return id_.decode() if isinstance(id_, bytes) else str(id_)


def submit_many(
    client: redis.Redis, lane: str, submissions: Iterable[Submission], *, chunk: int = 200
) -> Iterator[tuple[Submission, str]]:
    """Append many documents by plain XADDs, up to `chunk` or 4 MiB in a pipeline; yield each with its receipt id, in order.

    Raises redis.RedisError.
    """
    for part in chunks(submissions, chunk):
        with client.pipeline(transaction=False) as pipe:
            for submission in part:
                pipe.xadd(lane, submission.fields())
            ids = pipe.execute()
        for submission, id_ in zip(part, ids, strict=True):
            yield submission, id_.decode() if isinstance(id_, bytes) else str(id_)


__all__ = [
    "AsyncProducer",
    "Producer",
    "Receipt",
    "Submission",
    "SubmissionUnsure",
    "check",
    "submit_entry",
    "submit_many",
]
