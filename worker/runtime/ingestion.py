"""Process a claimed batch: store it, settle its entries; if that fails, divide it or give its entries back."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import redis
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from schemas.problem import Problem, problem
from worker.documents.limits import Limits
from worker.jobs.reenrichment import step_after_batch
from worker.pipeline import Batch, process
from worker.queue.crashes import CrashLog, sentence
from worker.queue.lease_queue import Claimed, LeaseQueue
from worker.queue.store_timeouts import StoreTimeouts
from worker.runtime import connections
from worker.runtime.batch_logging import log_batch
from worker.runtime.batch_report import announce, count
from worker.runtime.dispatch.reaper import small_batch
from worker.runtime.dispatch.request import OUT_OF_MEMORY, StoreUnusable
from worker.settings import settings
from worker.store.decide.batch_item import BatchItem
from worker.store.engine import driver_error, is_conflict, is_data_error, is_timeout, is_transient
from worker.telemetry.failpoints import failpoint
from worker.telemetry.logs import get_logger

log = get_logger("ingest")

_CONFLICT_TRIES = 3
_REDIS_RETRY_SECONDS = 0.5
_MOST_TIMEOUTS = 3  # of the store, on one document
_STORE_DELAY_SECONDS = 1.0  # until the dispatcher has received the failure and stops dispatching


def ingest_claimed(queue: LeaseQueue, entries: Sequence[Claimed]) -> None:
    """Store the documents of `entries` and settle them after the commit.

    If the store cannot be used, the entries are given back and StoreUnusable is raised.
    """
    worker, started = connections.worker_name(), time.monotonic()
    try:
        _ingest_entries(queue, entries, worker)
    except redis.RedisError as error:
        log_redis_outage(queue.lane, error, when="Redis answers")
        # Retry for half the task's time limit. After that the entries come back when their lease expires.
        _release(queue, worker, entries, whole=True, until=started + settings().task_seconds / 2)
    except SQLAlchemyError as error:
        # Errors of single documents became dead letters in `_divide`. What arrives here is a failure of the store.
        _release(queue, worker, entries, whole=not is_timeout(error))
        raise StoreUnusable(str(driver_error(error))) from None


def log_redis_outage(lane: str, error: Exception, *, when: str = "their lease has expired") -> None:
    """Log it without a traceback.

    The dispatcher logs the outage, and documents already stored are recognised on redelivery.
    """
    log.warning(
        "Redis could not be used during a batch",
        lane=lane,
        error=str(error),
        worker=connections.worker_name(),
        next=f"its documents are processed again when {when}",
    )


def _ingest_entries(queue: LeaseQueue, entries: Sequence[Claimed], worker: str) -> None:
    for tries in range(_CONFLICT_TRIES):
        try:
            _process_and_settle(queue, entries, worker)
        except SQLAlchemyError as error:
            if is_transient(error) and not _is_at_fault(queue, entries, error):
                raise
            if is_conflict(error) and tries + 1 < _CONFLICT_TRIES:
                continue
            _divide(queue, entries, worker, error)
            return
        except redis.RedisError:
            raise
        except MemoryError as error:
            _divide(queue, entries, worker, error.with_traceback(None))  # without its frames, which keep the memory
            return
        except Exception as error:  # noqa: BLE001  a bug on one document must not stop the others
            _divide(queue, entries, worker, error)
            return
        else:
            return


def _is_at_fault(queue: LeaseQueue, entries: Sequence[Claimed], error: SQLAlchemyError) -> bool:
    """Return whether the store times out on this document alone, again and again, and stores others meanwhile.

    Documents of a larger batch are recorded, so that they are sent again alone. If the batch is not small yet, they are
    sent in small batches first, because the store may only be slow.
    """
    if not is_timeout(error):
        return False
    timeouts = StoreTimeouts(queue, (lane.name for lane in settings().lane_list))
    if len(entries) == 1:
        return timeouts.record(entries[0].id) >= _MOST_TIMEOUTS
    if len(entries) <= small_batch(settings()):
        timeouts.record_together(entry.id for entry in entries)
    return False


def _divide(queue: LeaseQueue, entries: Sequence[Claimed], worker: str, error: Exception) -> None:
    """Halve the batch until the failing document is alone. It becomes a dead letter; the others are stored."""
    if len(entries) == 1:
        log.error("A document cannot be stored", id=entries[0].id, lane=queue.lane, error=_without_quotation(error),
                  next="it becomes a dead letter", exception="".join(traceback.format_tb(error.__traceback__)))  # fmt: skip
        tried = f"Storing it alone hit the time limit {_MOST_TIMEOUTS} times, while other documents were stored."
        failed = f"The worker failed on it: {type(error).__name__}."
        state = problem("internal_error", tried if is_timeout(error) else failed)
        _store_dead_letter(queue, entries[0], worker, state)
        return
    half = len(entries) // 2
    for part in (entries[:half], entries[half:]):
        _ingest_entries(queue, part, worker)


def _without_quotation(error: Exception) -> str:
    """Return what may be logged of an error: an error of Python may quote the document, so only its class."""
    return repr(error.orig) if isinstance(error, DBAPIError) else type(driver_error(error)).__name__


def _store_dead_letter(queue: LeaseQueue, entry: Claimed, worker: str, state: Problem) -> None:
    """Store the entry as a dead letter with the problem `state`, at the second try with nothing but its document.

    An entry that is refused even so stays on its lane: it is logged and tried again whenever its lease expires, and
    holds up no other. Raises the errors of an outage.
    """
    bare = replace(entry, fields={b"raw": entry.fields.get(b"raw", b"")})
    for attempt in (entry, bare):
        try:
            _process_and_settle(queue, [attempt], worker, state=state)
        except (redis.RedisError, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, SQLAlchemyError) and not is_data_error(error):
                raise
            refused = error
        else:
            return
    log.error(
        "A dead letter cannot be stored",
        id=entry.id,
        lane=queue.lane,
        bytes=entry.size,
        error=_without_quotation(refused),
        next="it stays on its lane and is tried again when its lease expires; the others are processed",
    )


def _process_and_settle(
    queue: LeaseQueue, entries: Sequence[Claimed], worker: str, *, state: Problem | None = None
) -> None:
    config, started = settings(), time.perf_counter()
    source = next((lane.source for lane in config.lane_list if lane.name == queue.lane), None)
    limits = Limits(max_bytes=config.max_document_bytes)
    batch = Batch(
        queue.lane, source, worker, config.max_attempts, limits, state, connections.rules(), clock=queue.clock
    )
    tried = {entry.id: entry.attempts for entry in entries if entry.attempts}
    batch.evidence = _evidence(queue, tried)
    attempt = _Attempt(queue, worker, entries)
    try:
        versions = process(connections.engine(), batch, entries, end_attempt=attempt.end, begin_attempt=attempt.begin)
    except MemoryError:
        if attempt.is_counted and len(entries) == 1:
            _leave_for_another_process(queue, entries[0], worker)
        raise
    failpoint("ingest.committed")
    versions = _without_id_conflicts(queue, versions)
    announce(connections.client(), batch, versions)
    failpoint("ingest.replied")
    settled = set(queue.settle((version.id, str(version.outcome)) for version in versions))
    failpoint("ingest.settled")
    # If this process hung until its lease expired, another one settled, logged and counted those entries.
    versions = [version for version in versions if version.id in settled]
    CrashLog(queue).forget([id_ for id_ in tried if id_ in settled])
    count(connections.client(), batch, versions, work_ms=(time.perf_counter() - started) * 1000)
    log_batch(batch, versions)
    if batch.leaves_work:
        step_after_batch(connections.engine(), connections.rules())


class _Attempt:
    """Counts the attempt of a batch while its documents can be the cause of a crash."""

    def __init__(self, queue: LeaseQueue, worker: str, entries: Sequence[Claimed]) -> None:
        self._queue = queue
        self._worker = worker
        self._attempts = {entry.id: entry.attempts for entry in entries}
        self.is_counted = True

    def end(self) -> None:
        self._queue.end_attempt(self._worker, self._attempts)
        self.is_counted = False

    def begin(self) -> None:
        self._queue.begin_attempt(self._worker, self._attempts)
        self.is_counted = True


def _evidence(queue: LeaseQueue, tried: dict[str, int]) -> dict[str, str]:
    """Return id → a sentence about the processes that ended while they read it. `tried`: id → attempts so far."""
    if not tried:
        return {}
    crashes = CrashLog(queue).of(list(tried))
    return {id_: sentence(attempts, crashes.get(id_, ())) for id_, attempts in tried.items()}


def _leave_for_another_process(queue: LeaseQueue, entry: Claimed, worker: str) -> NoReturn:
    """End this process, so that another one tries the document alone. The number of attempts is bounded.

    Either the document does not fit in memory, or this process has grown.
    """
    log.error(
        "A document does not fit in memory",
        id=entry.id,
        lane=queue.lane,
        worker=worker,
        next="this process ends; another one retries the document alone",
    )
    os._exit(OUT_OF_MEMORY)


def _without_id_conflicts(queue: LeaseQueue, versions: list[BatchItem]) -> list[BatchItem]:
    """Return the stored items.

    An item whose id belonged to another document before is requeued under a new id instead.
    """
    for version in versions:
        if version.id_conflict:
            fresh = queue.requeue(version.id)
            failpoint("ingest.readded")
            log.warning(
                "An id was used again for another document",
                id=version.id,
                lane=version.lane,
                next=f"the document has the new id {fresh}",
            )
    return [version for version in versions if not version.id_conflict]


def _release(queue: LeaseQueue, worker: str, entries: Sequence[Claimed], *, whole: bool, until: float = 0.0) -> None:
    """Give entries back without counting the attempt, because no process crashed.

    `whole`: see `LeaseQueue.release`. `until`: time.monotonic() until which it retries if Redis fails; 0.0 means one
    try.
    """
    attempts, lease = {entry.id: entry.attempts for entry in entries}, settings().lease_seconds
    while True:
        try:
            queue.release(worker, attempts, lease_seconds=lease, delay_seconds=_STORE_DELAY_SECONDS, whole=whole)
            failpoint("ingest.released")
        except redis.RedisError as error:
            if time.monotonic() < until:
                time.sleep(_REDIS_RETRY_SECONDS)
                continue
            log.warning("Redis cannot be used either", error=str(error), next="the lease expires by itself")
        return
