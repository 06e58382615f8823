"""The parts that `Producer` and `AsyncProducer` share: everything except I/O."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from schemas.receipt import Receipt
from worker.producer.submission import (
    MAX_TIMEOUT_SECONDS,
    ProducerConfig,
    ReceiptBuffer,
    Submission,
    SubmissionUnsure,
    check,
    is_passing,
    is_unknown_function,
    still_pending,
)

BLOCK_SECONDS = 1.0
"""How long one XREAD waits for receipts."""
READ_AGAIN_SECONDS = 0.2
"""The pause after an XREAD that failed."""
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


class ProducerBase:
    """The state of a producer, without the connection. See `Producer` for the arguments."""

    def __init__(
        self,
        url: str,
        *,
        lane: str = "documents",
        source: str | None = None,
        name: str | None = None,
        patience: float = 30,
        polite: bool = True,
        receipts: bool = True,
    ) -> None:
        if not 0 < patience <= MAX_TIMEOUT_SECONDS:
            raise ValueError(f"timeout is between 0 and {MAX_TIMEOUT_SECONDS:.0f} seconds")
        self._sender = ProducerConfig.of(url, lane, source, name, receipts=receipts)
        self._patience = patience
        self._polite = polite
        self._inbox = ReceiptBuffer()

    @property
    def replies(self) -> str | None:
        """The stream on which this producer's receipts arrive; None if it was created with `receipts=False`."""
        return self._sender.replies

    check = staticmethod(check)

    def _request(self, part: Sequence[Submission], once: str | None) -> SubmitRequest:
        return SubmitRequest(self._sender, part, once, self._patience)

    def _read_arguments(self, block: float) -> dict[str, Any]:
        """Return the arguments of XREAD. `block` is in seconds. Raises ValueError for a producer without receipts."""
        if self._sender.replies is None:
            raise ValueError("this producer was made with receipts=False")
        return {"streams": {self._sender.replies: self._inbox.last}, "count": 1000, "block": max(1, int(block * 1000))}


class SubmitRequest:
    """One command that adds documents to the lane, and the delays of its retries while the server does not answer."""

    def __init__(self, sender: ProducerConfig, part: Sequence[Submission], once: str | None, patience: float) -> None:
        self._submissions = [sender.complete(submission) for submission in part]
        self._token = once or sender.token()
        self.arguments = sender.call(self._token, self._submissions)
        self._deadline = time.monotonic() + patience
        self._pause = _FIRST_PAUSE_SECONDS

    def pause_after(self, error: Exception) -> float:
        """Return how many seconds to wait before the next try; each delay is twice the last, up to 1 second.

        Raises SubmissionUnsure when the time-out is reached, and `error` itself if a retry cannot help.
        """
        if not is_passing(error) and not is_unknown_function(error):
            raise error
        pause = self._pause
        if time.monotonic() + pause > self._deadline:
            raise SubmissionUnsure(self._token, self._submissions, error) from error
        self._pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        return pause


class AwaitedReceipts:
    """The receipts that one call waits for, until `timeout` seconds have passed."""

    def __init__(self, ids: Iterable[str], timeout: float) -> None:
        self._missing = dict.fromkeys(ids)
        self._order = list(self._missing)
        self._came: dict[str, Receipt] = {}
        self._deadline = time.monotonic() + timeout

    def take(self, inbox: ReceiptBuffer) -> float:
        """Take the receipts that have arrived. Return how many seconds to wait for more; 0 means that the wait is over.

        `Producer` calls this under its condition's lock.
        """
        came = inbox.take(self._missing)
        self._came.update(came)
        for id_ in came:
            del self._missing[id_]
        return max(0.0, min(self._deadline - time.monotonic(), BLOCK_SECONDS)) if self._missing else 0.0

    def result(self, sender: ProducerConfig) -> dict[str, Receipt]:
        """Return the receipt of each id, in the given order. The outcome is `pending` where no receipt has arrived."""
        return {id_: self._came.get(id_) or still_pending(id_, sender) for id_ in self._order}
