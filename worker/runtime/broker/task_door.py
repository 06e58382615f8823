"""Takes messages off Celery's queue in the main process: moves documents to their lane and keeps what cannot be used.

Neither kind reaches Celery, which logs, shows (`inspect active`) and drops messages with their arguments. A message
taken here has left Redis, so it waits in this process until Redis has it again. It is lost only if the process is
killed in between.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import ResponseError
from redis.typing import EncodableT, FieldT

from schemas.problem import Problem, problem
from worker.producer.submission import Submission
from worker.producer.task_message import (
    LARGEST_TIMES,
    BrokenClaimCheck,
    ClaimCheck,
    DocumentTask,
    Misfit,
    document_in,
    read_message,
)
from worker.queue.oversized import HEAD
from worker.queue.replies import takes_no_entries
from worker.queue.urgent_writes import write_when_full
from worker.settings import INTERNAL_LANE, Lane, Settings
from worker.telemetry.failpoints import failpoint
from worker.telemetry.logs import get_logger

log = get_logger("worker")

_ENVELOPE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class _Entry:
    lane: str
    fields: Mapping[FieldT, EncodableT]
    submission: Submission | None = None
    """The document that a producer sent; None: the message is kept as a dead letter."""


_waiting: deque[_Entry] = deque()
"""Entries taken off the queue and not yet in Redis again. No other message is taken meanwhile, so they are few."""


def take(item: bytes, config: Settings) -> dict[str, object] | None:
    """Classify one message; return it if Celery must execute it, else None. After None, `place` must be called."""
    if len(item) > config.max_document_bytes * LARGEST_TIMES + _ENVELOPE_BYTES:
        too_large = problem("not_a_task", f"The message has {len(item):,} bytes and was not read.")
        _keep(item, Misfit(too_large), config)
        return None
    message = read_message(item)
    if isinstance(message, ClaimCheck):
        return message.message
    if isinstance(message, BrokenClaimCheck):
        log.warning(
            "A claim check cannot be used",
            error=message.reason,
            next="it is dropped; its documents are still on their lanes",
        )
    elif isinstance(message, DocumentTask):
        lanes = [lane.name for lane in config.lane_list]
        lane = message.lane if message.lane in lanes else lanes[0]
        _waiting.append(_Entry(lane, message.submission.fields(), message.submission))
    else:
        _keep(item, message, config)
    return None


def _keep(item: bytes, misfit: Misfit, config: Settings) -> None:
    size, limit = len(item), config.max_document_bytes
    if limit < size <= limit * LARGEST_TIMES + _ENVELOPE_BYTES:
        # Celery's encoding made the message too large. The decoded document is kept instead where it fits.
        document = document_in(item)
        item = document if len(document) <= limit else item
    fields: dict[FieldT, EncodableT] = dict(misfit.fields.items())
    _waiting.append(_dead_letter(item, fields, misfit.problem, config.lane_list[0], config))
    log.warning(
        "A message on Celery's queue is not a task of Copydesk",
        codes=[misfit.problem.code],
        bytes=size,
        next="it is kept as a dead letter: copydesk dead list",
    )


def _dead_letter(
    raw: bytes, fields: Mapping[FieldT, EncodableT], fault: Problem, lane: Lane, config: Settings
) -> _Entry:
    """Return the entry of the internal lane that becomes a dead letter with the bytes `raw` and the source of `lane`."""
    content: dict[FieldT, EncodableT] = {"source": lane.name, **fields, "raw": raw, "problem": fault.model_dump_json()}
    if lane.source:
        content["source"] = lane.source
    if len(raw) > config.max_document_bytes:
        content |= {"raw": raw[:HEAD], "raw_size": str(len(raw)), "sha256": hashlib.sha256(raw).hexdigest()}
    return _Entry(INTERNAL_LANE, content)


def _dead_letter_of(entry: _Entry, submission: Submission, config: Settings) -> _Entry:
    """Return the dead letter of a document whose lane takes no entries."""
    lane = next(lane for lane in config.lane_list if lane.name == entry.lane)
    fault = problem("lane_unusable", f"The lane {lane.name} could take no documents.")
    log.warning(
        "A lane cannot take a document that was on Celery's queue",
        lane=lane.name,
        codes=[fault.code],
        next="it is kept as a dead letter: repair the lane, then copydesk dead replay --code lane_unusable",
    )
    return _dead_letter(submission.raw or b"", entry.fields, fault, lane, config)


def has_waiting() -> bool:
    """Return whether `place` has something to write."""
    return bool(_waiting)


def place(client: Redis, config: Settings) -> None:
    """Add the waiting entries to their lanes. Raises the client's connection errors; the next call tries again.

    A document becomes a dead letter if its lane takes no entries until an operator repairs it: the other lanes must not
    wait for that.
    """
    while _waiting:
        entry = _waiting[0]
        flat = [part for pair in entry.fields.items() for part in pair]
        try:
            write_when_full(client, "XADD", entry.lane, "*", *flat)  # it was in Redis a moment ago
        except ResponseError as error:
            if takes_no_entries(error) and entry.submission is not None:
                _waiting[0] = _dead_letter_of(entry, entry.submission, config)
                continue
            log.warning(
                "Redis refuses a message that was on Celery's queue",
                lane=entry.lane,
                error=str(error),
                next="it is retried; no other message is taken meanwhile",
            )
            return
        _waiting.popleft()
        failpoint("submit.added")
