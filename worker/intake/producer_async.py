"""`AsyncProducer`: what `Producer` is, for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any

import redis

from schemas.receipt import Receipt
from worker.intake.connect import connect_async
from worker.intake.functions import LIBRARY, SUBMIT
from worker.intake.submission import (
    MOST_PATIENCE_SECONDS,
    Inbox,
    Sender,
    Submission,
    SubmissionUnsure,
    check,
    chunks,
    ids_of,
    is_passing,
    is_unknown_function,
    seconds_of,
    still_pending,
)

_BLOCK_SECONDS = 1.0


class AsyncProducer:
    """A crawler's connection to one lane; tasks of one event loop may share it. See `Producer` for the arguments."""

    def __init__(
        self, url: str, *, lane: str = "documents", source: str | None = None, name: str | None = None,
        patience: float = 30, polite: bool = True, receipts: bool = True,
    ) -> None:  # fmt: skip
        if not 0 < patience <= MOST_PATIENCE_SECONDS:
            raise ValueError(f"patience is between 0 and {MOST_PATIENCE_SECONDS:.0f} seconds")
        self._client = connect_async(url, retries=0)
        self._sender = Sender.of(url, lane, source, name, receipts=receipts)
        self._patience = patience
        self._polite = polite
        self._inbox = Inbox()
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> AsyncProducer:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    @property
    def replies(self) -> str | None:
        """The stream on which its receipts come."""
        return self._sender.replies

    check = staticmethod(check)

    async def submit(
        self, raw: bytes | str, *, source: str | None = None, key: str | None = None, traceparent: str | None = None,
        once: str | None = None,
    ) -> str:  # fmt: skip
        """Put one document on the lane; returns its receipt id."""
        body = raw.encode("utf-8") if isinstance(raw, str) else raw
        await self._wait_politely()
        return (await self._send([Submission(body, source, key, traceparent=traceparent)], once))[0]

    async def again(self, unsure: SubmissionUnsure) -> list[str]:
        """Ask once more what became of a submission without an answer; returns its receipt ids, and doubles nothing."""
        return await self._send(list(unsure.submissions), unsure.once)

    async def retract(self, key: str, *, source: str | None = None, once: str | None = None) -> str:
        """Take back the document of this key, or all of this source that show this URL; returns the retraction's receipt id."""
        return (await self._send([Submission(None, source, key, op="retract")], once))[0]

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
        missing, found = dict.fromkeys(ids), dict[str, Receipt]()
        order, deadline = list(missing), time.monotonic() + timeout
        while True:
            came = self._inbox.take(missing)
            found.update(came)
            for id_ in came:
                del missing[id_]
            rest = deadline - time.monotonic()
            if not missing or rest <= 0:
                return {id_: found.get(id_) or still_pending(id_, self._sender) for id_ in order}
            before = self._inbox.last
            async with self._reading:
                # Whoever waited for the lock looks first at what the one before has read.
                if self._inbox.last == before:
                    await self._read(min(rest, _BLOCK_SECONDS))

    async def collect(self, ids: Iterable[str]) -> dict[str, Receipt]:
        """The receipts of those of `ids` that have come, without waiting."""
        async with self._reading:
            await self._read()
        return self._inbox.take(ids)

    async def _read(self, block: float = 0) -> None:
        stream = self._sender.replies
        if stream is None:
            raise ValueError("this producer was made with receipts=False")
        try:
            waited = max(1, int(block * 1000))
            reply: Any = await self._client.xread({stream: self._inbox.last}, count=1000, block=waited)
        except redis.RedisError as error:
            if not is_passing(error):
                raise
            await asyncio.sleep(0.2)
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

    async def _send(self, part: list[Submission], once: str | None) -> list[str]:
        part = [self._sender.complete(submission) for submission in part]
        token = once or self._sender.token()
        arguments = self._sender.call(token, part)
        deadline, pause = time.monotonic() + self._patience, 0.05
        while True:
            try:
                return ids_of(await self._client.fcall(SUBMIT, *arguments))
            except (redis.RedisError, OSError) as error:
                if is_unknown_function(error):
                    if await self._load():
                        continue
                elif not is_passing(error):
                    raise
                if time.monotonic() + pause > deadline:
                    raise SubmissionUnsure(token, part, error) from error
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)

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
