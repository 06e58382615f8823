"""`AsyncProducer`: what `Producer` is, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any

import redis

from schemas.receipt import Receipt
from worker.producer.base import READ_AGAIN_SECONDS, AwaitedReceipts, ProducerBase
from worker.producer.deprecation import renamed_parameters
from worker.producer.submission import (
    Submission,
    SubmissionUnsure,
    chunks,
    ids_of,
    is_passing,
    is_unknown_function,
    seconds_of,
)
from worker.queue.connection import connect_async
from worker.queue.server_functions import LIBRARY, SUBMIT


class AsyncProducer(ProducerBase):
    """A crawler's connection to one lane; tasks of one event loop may share it. See `Producer` for the arguments."""

    @renamed_parameters(patience="timeout")
    def __init__(
        self, url: str, *, lane: str = "documents", source: str | None = None, name: str | None = None,
        timeout: float = 30, polite: bool = True, receipts: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(url, lane=lane, source=source, name=name, patience=timeout, polite=polite, receipts=receipts)
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
        self, raw: bytes | str, *, source: str | None = None, key: str | None = None, traceparent: str | None = None,
        idempotency_key: str | None = None,
    ) -> str:  # fmt: skip
        """Put one document on the lane; returns its receipt id."""
        body = raw.encode("utf-8") if isinstance(raw, str) else raw
        await self._wait_politely()
        return (await self._send([Submission(body, source, key, traceparent=traceparent)], idempotency_key))[0]

    async def again(self, unsure: SubmissionUnsure) -> list[str]:
        """Ask once more what became of a submission without an answer; returns its receipt ids, and doubles nothing."""
        return await self._send(list(unsure.submissions), unsure.once)

    @renamed_parameters(once="idempotency_key")
    async def retract(self, key: str, *, source: str | None = None, idempotency_key: str | None = None) -> str:
        """Take back the document of this key, or all of this source that show this URL; returns the retraction's receipt id."""
        return (await self._send([Submission(None, source, key, op="retract")], idempotency_key))[0]

    async def submit_many(
        self, documents: Iterable[Submission | bytes | str], *, progress: Callable[[int], None] | None = None
    ) -> AsyncIterator[tuple[Submission, str]]:
        """Put many on the lane; yields each with its receipt id, in order."""
        sent = 0
        for part in chunks(self._sender.complete(document) for document in documents):
            await self._wait_politely()
            ids = await self._send(part, None)
            sent += len(part)
            if progress is not None:
                progress(sent)
            for pair in zip(part, ids, strict=True):
                yield pair

    async def wait(self, id_: str, *, timeout: float = 30) -> Receipt:
        """The receipt of a document, or after `timeout` seconds one whose outcome is `pending`; ask again any time."""
        return (await self.wait_many([id_], timeout=timeout))[id_]

    async def wait_many(self, ids: Iterable[str], *, timeout: float = 30) -> dict[str, Receipt]:
        """As `wait`, for many: the receipt of each, in the order of `ids`."""
        awaited = AwaitedReceipts(ids, timeout)
        while seconds := awaited.take(self._inbox):
            before = self._inbox.last
            async with self._reading:
                # Whoever waited for the lock looks first at what the one before has read.
                if self._inbox.last == before:
                    await self._read(seconds)
        return awaited.result(self._sender)

    async def collect(self, ids: Iterable[str]) -> dict[str, Receipt]:
        """The receipts of those of `ids` that have come, without waiting."""
        async with self._reading:
            await self._read()
        return self._inbox.take(ids)

    async def _read(self, block: float = 0) -> None:
        arguments = self._read_arguments(block)
        try:
            reply: Any = await self._client.xread(**arguments)
        except redis.RedisError as error:
            if not is_passing(error):
                raise
            await asyncio.sleep(READ_AGAIN_SECONDS)
            return
        self._inbox.feed(reply)

    async def _wait_politely(self) -> None:
        if not self._polite:
            return
        try:
            values: Any = await self._client.mget(self._sender.slow_down_keys())
        except redis.RedisError as error:
            if not is_passing(error):
                raise
            return
        seconds = seconds_of(values)
        if seconds:
            await asyncio.sleep(seconds)

    async def _send(self, part: list[Submission], idempotency_key: str | None) -> list[str]:
        request = self._request(part, idempotency_key)
        while True:
            try:
                return ids_of(await self._client.fcall(SUBMIT, *request.arguments))
            except (redis.RedisError, OSError) as error:
                if is_unknown_function(error) and await self._load():
                    continue
                pause = request.pause_after(error)
            await asyncio.sleep(pause)

    async def _load(self) -> bool:
        """As `Producer._load`."""
        try:
            await self._client.function_load(LIBRARY, replace=True)
        except redis.exceptions.NoPermissionError:
            return False
        except redis.RedisError as error:
            if not is_passing(error):
                raise
            return False
        return True
