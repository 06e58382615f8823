"""`AsyncProducer`: the same client as `Producer`, for asyncio."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType

import redis

from schemas.receipt import Receipt
from worker.producer.base import READ_COUNT, READ_RETRY_SECONDS, AwaitedReceipts, ProducerBase
from worker.producer.deprecation import renamed_parameters
from worker.producer.submission import (
    Submission,
    SubmissionUnsure,
    chunks,
    encoded,
    ids_of,
    is_retryable,
    is_unknown_function,
    seconds_of,
)
from worker.queue.connection import connect_async
from worker.queue.server_functions import LIBRARY, SUBMIT


class AsyncProducer(ProducerBase):
    """A crawler's connection to one lane. Tasks of one event loop may share it.

    See `Producer` for the arguments and the errors.
    """

    def _open(self, url: str) -> None:
        self._client = connect_async(url, retries=0)
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> AsyncProducer:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    @renamed_parameters(once="idempotency_key")
    async def submit(
        self,
        raw: bytes | str,
        *,
        source: str | None = None,
        key: str | None = None,
        traceparent: str | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Add one document to the lane and return its receipt id. See `Producer.submit`."""
        body = encoded(raw) if isinstance(raw, str) else raw
        await self._wait_politely()
        return (await self._send([Submission(body, source, key, traceparent=traceparent)], idempotency_key))[0]

    async def retry(self, unsure: SubmissionUnsure) -> list[str]:
        """Repeat a submission that got no answer and return its receipt ids. No document is added twice."""
        return await self._send(list(unsure.submissions), unsure.idempotency_key)

    async def again(self, unsure: SubmissionUnsure) -> list[str]:
        """Call `retry`, which replaces this name; kept for one release."""
        warnings.warn("again is now retry", DeprecationWarning, stacklevel=2)
        return await self.retry(unsure)

    @renamed_parameters(once="idempotency_key")
    async def retract(self, key: str, *, source: str | None = None, idempotency_key: str | None = None) -> str:
        """Retract the document with this key, or all documents of the source that describe this URL.

        Returns the receipt id of the retraction.
        """
        return (await self._send([Submission(None, source, key, op="retract")], idempotency_key))[0]

    async def submit_many(
        self, documents: Iterable[Submission | bytes | str], *, progress: Callable[[int], None] | None = None
    ) -> AsyncIterator[tuple[Submission, str]]:
        """Add many documents to the lane; yield each with its receipt id, in order. See `Producer.submit_many`."""
        count = 0
        for part in chunks(self._config.complete(document) for document in documents):
            await self._wait_politely()
            ids = await self._send(part, None)
            count += len(part)
            if progress is not None:
                progress(count)
            for pair in zip(part, ids, strict=True):
                yield pair

    async def wait(self, id_: str, *, timeout: float = 30) -> Receipt:
        """Return a document's receipt, or after `timeout` seconds one whose outcome is `pending`; then call again."""
        return (await self.wait_many([id_], timeout=timeout))[id_]

    async def wait_many(self, ids: Iterable[str], *, timeout: float = 30) -> dict[str, Receipt]:
        """Return the receipt of each of `ids`, in their order; like `wait`, with one `timeout` for all."""
        awaited = AwaitedReceipts(ids, timeout)
        while seconds := awaited.take(self._receipts):
            before = self._receipts.last
            async with self._reading:
                # A task that waited for the lock first checks what the previous holder has read.
                if self._receipts.last == before:
                    await self._read(seconds)
        return awaited.result(self._config)

    async def collect(self, ids: Iterable[str]) -> dict[str, Receipt]:
        """Return the receipts of `ids` that have arrived, without waiting. See `Producer.collect`."""
        async with self._reading:
            await self._read()
        return self._receipts.take(ids)

    async def _read(self, block: float = 0) -> None:
        positions = self._reply_positions()
        try:
            reply = await self._client.xread(positions, count=READ_COUNT, block=max(1, int(block * 1000)))
        except redis.RedisError as error:
            if not is_retryable(error):
                raise
            await asyncio.sleep(READ_RETRY_SECONDS)
            return
        self._receipts.feed(reply)

    async def _wait_politely(self) -> None:
        if not self._polite:
            return
        try:
            values = await self._client.mget(self._config.slow_down_keys())
        except redis.RedisError as error:
            if not is_retryable(error):
                raise
            return
        seconds = seconds_of(values)
        if seconds:
            await asyncio.sleep(seconds)

    async def _send(self, part: list[Submission], idempotency_key: str | None) -> list[str]:
        request = self._request(part, idempotency_key)
        while True:
            try:
                return ids_of(await self._client.fcall(SUBMIT, 1, *request.arguments))
            except (redis.RedisError, OSError) as error:
                if is_unknown_function(error) and await self._load():
                    continue
                pause = request.pause_after(error)
            await asyncio.sleep(pause)

    async def _load(self) -> bool:
        """Load the function; like `Producer._load`."""
        try:
            await self._client.function_load(LIBRARY, replace=True)
        except redis.exceptions.NoPermissionError:
            return False
        except redis.RedisError as error:
            if not is_retryable(error):
                raise
            return False
        return True
