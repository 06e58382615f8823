"""Yields submitted documents with their outcomes while a bounded number of them waits, in Redis and in this process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from worker.producer.submission import Submission

WAITING_DOCUMENTS = 5000
"""How many documents may wait for their outcomes. The stream of receipts holds 10,000."""
WAITING_BYTES = 64 << 20
"""How many bytes of documents may wait, so that Redis does not hold a whole collection at once."""
_UNYIELDED_DOCUMENTS = 100_000
"""How many outcomes may be in memory because an earlier document has none yet. The lease of that one ends in seconds."""
_POLL_SECONDS = 0.05


class DocumentOutcome(NamedTuple):
    """What became of a document. The problems are in the form of `schemas.problem.Problem` as JSON."""

    outcome: str
    url: str | None
    problems: list[dict[str, object]]


class SubmittedDocument(NamedTuple):
    """A document on a lane: its receipt id, the label of its submission, and its outcome (None: none arrived)."""

    id: str
    label: str
    outcome: DocumentOutcome | None


Poll = Callable[[Collection[str]], Mapping[str, DocumentOutcome]]
"""Returns id → outcome for those of the ids that have one. It does not wait."""


class SubmissionWindow:
    """Takes submitted documents, polls for their outcomes, and yields both in the order of submission."""

    def __init__(self, poll: Poll, keep_waiting: Callable[[float], bool]) -> None:
        """`keep_waiting(seconds)`: whether to wait longer when no outcome arrived for `seconds`."""
        self._poll = poll
        self._keep_waiting = keep_waiting
        self._waiting: dict[str, int] = {}
        self._waiting_bytes = 0
        self._unyielded: deque[tuple[str, str]] = deque()
        self._outcomes: dict[str, DocumentOutcome] = {}
        self.submitted = 0
        self.gave_up = False
        """Whether `keep_waiting` returned False. The remaining documents are submitted then, and nothing is waited for."""

    def run(self, submitted: Iterable[tuple[Submission, str]]) -> Iterator[SubmittedDocument]:
        """Yield each document of `submitted`, which is read only as fast as outcomes arrive."""
        for submission, id_ in submitted:
            self._take(submission, id_)
            while self._is_full() and not self.gave_up:
                self._wait()
                yield from self._ready()
            if self.gave_up:
                yield from self._ready()
        while self._waiting and not self.gave_up:
            self._wait()
            yield from self._ready()

    def _take(self, submission: Submission, id_: str) -> None:
        size = len(submission.raw or b"")
        self.submitted += 1
        self._waiting[id_] = size
        self._waiting_bytes += size
        self._unyielded.append((id_, submission.label))

    def _is_full(self) -> bool:
        return (
            len(self._waiting) >= WAITING_DOCUMENTS
            or self._waiting_bytes >= WAITING_BYTES
            or len(self._unyielded) >= _UNYIELDED_DOCUMENTS
        )

    def _wait(self) -> None:
        """Wait until an outcome arrives or `keep_waiting` returns False."""
        began = time.monotonic()
        while not (arrived := self._poll(self._waiting.keys())):
            if not self._keep_waiting(time.monotonic() - began):
                self.gave_up = True
                return
            time.sleep(_POLL_SECONDS)
        self._outcomes.update(arrived)
        self._waiting_bytes -= sum(self._waiting.pop(id_) for id_ in arrived)

    def _ready(self) -> Iterator[SubmittedDocument]:
        """Yield the documents that have an outcome before the first one without; after giving up, all."""
        while self._unyielded and (self.gave_up or self._unyielded[0][0] in self._outcomes):
            id_, label = self._unyielded.popleft()
            yield SubmittedDocument(id_, label, self._outcomes.pop(id_, None))
