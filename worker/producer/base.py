"""The parts that `Producer` and `AsyncProducer` share: everything except I/O."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from schemas.receipt import Receipt
from worker.producer.deprecation import renamed_parameters
from worker.producer.submission import (
    MAX_TIMEOUT_SECONDS,
    ProducerConfig,
    ReceiptBuffer,
    Submission,
    SubmissionUnsure,
    check,
    is_retryable,
    is_unknown_function,
    still_pending,
)

if TYPE_CHECKING:
    from redis.typing import KeyT, StreamIdT

BLOCK_SECONDS = 1.0
"""How long one XREAD waits for receipts."""
READ_COUNT = 1000
"""How many receipts one XREAD returns at most."""
READ_RETRY_SECONDS = 0.2
"""The pause after an XREAD that failed."""
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


class ProducerBase:
    """The state of a producer, without the connection. See `Producer` for the arguments."""

    @renamed_parameters(patience="timeout")
    def __init__(
        self,
        url: str,
        *,
        lane: str = "documents",
        source: str | None = None,
        name: str | None = None,
        timeout: float = 30,
        polite: bool = True,
        receipts: bool = True,
    ) -> None:
        if not 0 < timeout <= MAX_TIMEOUT_SECONDS:
            raise ValueError(f"timeout is between 0 and {MAX_TIMEOUT_SECONDS:.0f} seconds")
        self._config = ProducerConfig.of(url, lane, source, name, receipts=receipts)
        self._timeout = timeout
        self._polite = polite
        self._receipts = ReceiptBuffer()
        self._open(url)

    def _open(self, url: str) -> None:
        """Create the connection and what goes with it."""
        raise NotImplementedError

    @property
    def replies(self) -> str | None:
        """The stream on which this producer's receipts arrive; None if it was created with `receipts=False`."""
        return self._config.replies

    check = staticmethod(check)

    def _request(self, part: Sequence[Submission], idempotency_key: str | None) -> SubmitRequest:
        return SubmitRequest(self._config, part, idempotency_key, self._timeout)

    def _reply_positions(self) -> dict[KeyT, StreamIdT]:
        """Return the stream of receipts and where to read on, for XREAD. Raises ValueError for a producer without."""
        if self._config.replies is None:
            raise ValueError("this producer was made with receipts=False")
        return {self._config.replies: self._receipts.last}


class SubmitRequest:
    """One command that adds documents to the lane, and the delays of its retries while the server does not answer."""

    def __init__(
        self, config: ProducerConfig, part: Sequence[Submission], idempotency_key: str | None, timeout: float
    ) -> None:
        self._submissions = [config.complete(submission) for submission in part]
        self._token = idempotency_key or config.token()
        self.arguments = config.call(self._token, self._submissions, timeout)
        self._deadline = time.monotonic() + timeout
        self._pause = _FIRST_PAUSE_SECONDS

    def pause_after(self, error: Exception) -> float:
        """Return how many seconds to wait before the next try; each delay is twice the last, up to 1 second.

        Raises SubmissionUnsure when the time-out is reached, and `error` itself if a retry cannot help.
        """
        if not is_retryable(error) and not is_unknown_function(error):
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
        self._arrived: dict[str, Receipt] = {}
        self._deadline = time.monotonic() + timeout

    def take(self, receipts: ReceiptBuffer) -> float:
        """Take the receipts that have arrived. Return how many seconds to wait for more; 0 means that the wait is over.

        `Producer` calls this under its condition's lock.
        """
        arrived = receipts.take(self._missing)
        self._arrived.update(arrived)
        for id_ in arrived:
            del self._missing[id_]
        return max(0.0, min(self._deadline - time.monotonic(), BLOCK_SECONDS)) if self._missing else 0.0

    def result(self, config: ProducerConfig) -> dict[str, Receipt]:
        """Return the receipt of each id, in the given order. The outcome is `pending` where no receipt has arrived."""
        return {id_: self._arrived.get(id_) or still_pending(id_, config) for id_ in self._order}
