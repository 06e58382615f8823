"""Log lines about batches and documents.

While few documents come, each gets a line. While many come, only rejected ones do. Under load the summary of each
minute shows the counts and `copydesk tail` shows the documents. `COPYDESK_LOG_LEVEL=info,ingest=debug` logs every
document again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

from worker.pipeline import Batch
from worker.store.decide.batch_item import BatchItem
from worker.telemetry.logs import get_logger

log = get_logger("ingest")

_MAX_SINGLE_LINES = 10
_WINDOW_SECONDS = 60.0


class RateGate:
    """Decides by the documents of the last minute whether each document gets its own log line."""

    def __init__(self, *, limit: int = _MAX_SINGLE_LINES, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._batches: deque[tuple[float, int]] = deque()
        self._count = 0

    def __call__(self, documents: int) -> bool:
        """Count `documents` more; return whether the last minute had few enough."""
        now = self._clock()
        self._batches.append((now, documents))
        self._count += documents
        while self._batches[0][0] < now - _WINDOW_SECONDS:
            self._count -= self._batches.popleft()[1]
        return self._count <= self._limit


_rate_gate = RateGate()


def log_batch(batch: Batch, versions: Sequence[BatchItem]) -> None:
    """Write the lines of a settled batch.

    A rejected document is always a warning; the log limits repeats to one a minute.
    """
    each_line = _rate_gate(len(versions))
    for version in versions:
        fields = _fields(version)
        outcome = str(version.outcome)
        if outcome == "rejected":
            log.warning(
                "Document rejected",
                **fields,
                next=f"it is kept: copydesk explain {version.receipt_id}; all of its kind: copydesk dead list",
            )
        elif each_line and outcome != "unchanged":
            log.info(f"Document {outcome}", **fields)
        else:
            log.debug(f"Document {outcome}", **fields)
    write = log.info if each_line else log.debug
    outcomes = Counter(str(version.outcome) for version in versions)
    write(
        "Batch done",
        lane=batch.lane,
        documents=len(versions),
        bytes=sum(v.raw_size for v in versions),
        outcomes=dict(outcomes),
        ms=batch.timings,
        worker=batch.worker,
    )


def _fields(version: BatchItem) -> dict[str, object]:
    fields = {
        "id": version.receipt_id,
        "lane": version.lane,
        "source": version.source,
        "key": version.key,
        "outcome": str(version.outcome),
        "url": version.url,
        "trace_id": version.trace_id,
        "codes": [problem.code for problem in version.problems],
        "problems": [problem.model_dump(mode="json") for problem in version.problems],
    }
    return {name: value for name, value in fields.items() if value}
