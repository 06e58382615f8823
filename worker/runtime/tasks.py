"""The Celery tasks: claim → pipeline → settle. What happens to documents is in `worker.pipeline`."""

from __future__ import annotations

import functools
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

import redis
from celery import Task, shared_task
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from schemas.problem import Problem, problem
from worker.documents.limits import Limits
from worker.heat_rules import AllRules
from worker.jobs.reenrichment import complete, step_after_batch
from worker.jobs.retention import prune
from worker.monitoring.sources.roll_up import roll_up_sources
from worker.pipeline import Batch, process
from worker.producer.task_arguments import SUBMIT, bind_arguments, submission_of
from worker.producer.tokens import remove_lasting_tokens
from worker.queue import keys
from worker.queue.connection import connect
from worker.queue.crashes import CrashLog, sentence
from worker.queue.lease_queue import Claimed, LeaseQueue, id_key
from worker.queue.source_pauses import paused_sources
from worker.queue.store_timeouts import StoreTimeouts
from worker.runtime.batch_logging import log_batch
from worker.runtime.batch_report import announce, count, receipt_of
from worker.runtime.dispatch.request import OUT_OF_MEMORY, StoreUnusable
from worker.settings import settings
from worker.store.decide.batch_item import BatchItem
from worker.store.engine import driver_error, is_conflict, is_timeout, is_transient, make_engine
from worker.telemetry.failpoints import failpoint
from worker.telemetry.logs import get_logger

log = get_logger("ingest")

_CONFLICT_TRIES = 3
MAINTAIN_EVERY_SECONDS = 3600
_ROLL_UP_PAUSE_SECONDS = 20
_REDIS_UNREACHABLE = (redis.ConnectionError, redis.TimeoutError)
_REDIS_RETRY_SECONDS = 0.5
_COMPLETE_SECONDS = 2.0
_MOST_TIMEOUTS = 3  # of the store, on one document
_STORE_DELAY_SECONDS = 1.0  # until the dispatcher has received the failure and stops dispatching


@functools.cache
def _engine() -> Engine:
    return make_engine(settings(), repeats=True)


@functools.cache
def _client() -> redis.Redis:
    return connect(settings().redis)


@functools.cache
def _queue(lane: str) -> LeaseQueue:
    return LeaseQueue(_client(), lane)


@functools.cache
def _rules() -> AllRules:
    return settings().heat_rules


class IngestTask(Task):  # type: ignore[type-arg]  # it has no parameters of its own
    """Uses a `Request` class that reports to the main process how each batch ends."""

    Request = "worker.runtime.dispatch.request:Request"


def worker_name() -> str:
    """Return the name of this pool process, as receipts, leases and logs show it."""
    return f"{socket.gethostname()}:{os.getpid()}"


@shared_task(name="copydesk.ingest", base=IngestTask, ignore_result=True, acks_late=False, reject_on_worker_lost=False)
def ingest(lane: str, ids: list[str]) -> None:
    """Claim the entries `ids` of `lane`, process them, and settle them after the store has committed."""
    config, queue, worker = settings(), _queue(lane), worker_name()
    failpoint("ingest.received")
    try:
        max_bytes = config.max_document_bytes + 65_536  # of the whole entry: the document and its small fields
        entries = queue.claim(worker, ids, lease_seconds=config.lease_seconds, max_bytes=max_bytes)
    except redis.ResponseError as error:
        log.warning(
            "The entries of a claim check cannot be claimed",
            lane=lane,
            error=str(error),
            next="it is dropped; its entries stay on the lane",
        )
        return
    except _REDIS_UNREACHABLE as error:
        _log_redis_outage(lane, error)
        return
    if not entries:
        return
    failpoint("ingest.claimed")
    started = time.monotonic()
    try:
        _ingest_entries(queue, entries, worker)
    except redis.RedisError as error:
        _log_redis_outage(lane, error, when="Redis answers")
        # Retry for half the task's time limit. After that the entries come back when their lease expires.
        _release(queue, worker, entries, whole=True, until=started + config.task_seconds / 2)
    except SQLAlchemyError as error:
        # Errors of single documents became dead letters in `_divide`. What arrives here is a failure of the store.
        _release(queue, worker, entries, whole=not is_timeout(error))
        raise StoreUnusable(str(driver_error(error))) from None


def _log_redis_outage(lane: str, error: Exception, *, when: str = "their lease has expired") -> None:
    """Log it without a traceback.

    The dispatcher logs the outage, and documents already stored are recognised on redelivery.
    """
    log.warning(
        "Redis could not be used during a batch",
        lane=lane,
        error=str(error),
        worker=worker_name(),
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
    """Return whether the store times out on this document alone, again and again, and stores others meanwhile."""
    if not is_timeout(error) or len(entries) != 1:
        return False
    timeouts = StoreTimeouts(queue, (lane.name for lane in settings().lane_list))
    if timeouts.record(entries[0].id) < _MOST_TIMEOUTS:
        return False
    timeouts.forget(entries[0].id)
    return True


def _divide(queue: LeaseQueue, entries: Sequence[Claimed], worker: str, error: Exception) -> None:
    """Halve the batch until the failing document is alone. It becomes a dead letter; the others are stored."""
    if len(entries) == 1:
        log.error("A document cannot be stored", id=entries[0].id, lane=queue.lane, error=repr(error),
                  next="it becomes a dead letter", exc_info=error)  # fmt: skip
        tried = f"Storing it alone hit the time limit {_MOST_TIMEOUTS} times, while other documents were stored."
        failed = f"The worker failed on it: {type(error).__name__}."
        state = problem("internal_error", tried if is_timeout(error) else failed)
        _process_and_settle(queue, entries, worker, state=state)
        return
    half = len(entries) // 2
    for part in (entries[:half], entries[half:]):
        _ingest_entries(queue, part, worker)


def _process_and_settle(
    queue: LeaseQueue, entries: Sequence[Claimed], worker: str, *, state: Problem | None = None
) -> None:
    config, started = settings(), time.perf_counter()
    source = next((lane.source for lane in config.lane_list if lane.name == queue.lane), None)
    limits = Limits(max_bytes=config.max_document_bytes)
    batch = Batch(queue.lane, source, worker, config.max_attempts, limits, state, _rules(), clock=queue.clock)
    tried = {entry.id: entry.attempts for entry in entries if entry.attempts}
    batch.evidence = _evidence(queue, tried)
    attempt = _Attempt(queue, worker, entries)
    try:
        versions = process(_engine(), batch, entries, end_attempt=attempt.end, begin_attempt=attempt.begin)
    except MemoryError:
        if attempt.is_counted and len(entries) == 1:
            _leave_for_another_process(queue, entries[0], worker)
        raise
    failpoint("ingest.committed")
    versions = _without_id_conflicts(queue, versions)
    announce(_client(), batch, versions)
    failpoint("ingest.replied")
    settled = set(queue.settle((version.id, str(version.outcome)) for version in versions))
    failpoint("ingest.settled")
    # If this process hung until its lease expired, another one settled, logged and counted those entries.
    versions = [version for version in versions if version.id in settled]
    CrashLog(queue).forget([id_ for id_ in tried if id_ in settled])
    count(_client(), batch, versions, work_ms=(time.perf_counter() - started) * 1000)
    log_batch(batch, versions)
    if batch.leaves_work:
        step_after_batch(_engine(), _rules())


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


@shared_task(name="copydesk.maintain", ignore_result=True)
def maintain(resume: str | None = None) -> None:
    """Delete expired rows, hourly, in whichever worker starts first, for a quarter of the task's time limit.

    Then the task sends itself again with the place to resume at. A lost message delays the rest by an hour. Raises
    SQLAlchemyError for errors of the store that are not transient.
    """
    if resume is None and not _client().set(keys.MAINTAINED, worker_name(), nx=True, ex=MAINTAIN_EVERY_SECONDS):
        return
    deleted: Counter[str] = Counter()
    if resume is None and (tokens := remove_lasting_tokens(_client())):
        deleted["tokens without an expiry"] = tokens
    try:
        done = prune(
            _engine(),
            settings(),
            seconds=settings().task_seconds / 4,
            resume=resume,
            progress=lambda rule, rows: deleted.update({rule: rows}),
        )
    except ValueError as error:
        log.warning(
            "A message on Celery's queue is not a task of Copydesk",
            error=str(error),
            next="it is dropped; it holds no document",
        )
        return
    except SQLAlchemyError as error:
        if not is_transient(error):
            raise
        log.warning(
            "The store cannot be used, maintenance waits",
            error=str(driver_error(error)),
            next="it is retried within an hour",
        )
        return
    finally:
        if deleted:
            log.info("Expired rows were deleted", rows=dict(deleted))
    if done.resume is not None:
        maintain.apply_async((done.resume,), retry=False)


@shared_task(name="copydesk.complete", ignore_result=True)
def complete_enrichment() -> None:
    """Do the work that batches left (heat, images, names, re-enrichment, retractions) for some seconds.

    A pool process is not occupied for longer: it may be the only one. The dispatcher sends this task again while work
    is left. Raises SQLAlchemyError for errors that are not transient.
    """
    try:
        done = complete(_engine(), _rules(), seconds=min(_COMPLETE_SECONDS, settings().task_seconds / 4))
    except SQLAlchemyError as error:
        if not is_transient(error):
            raise
        log.warning(
            "The store cannot be used, enrichment waits",
            error=str(driver_error(error)),
            next="it continues where it stopped",
        )
        return
    log.info("Enrichment is complete" if done else "Enrichment continues", worker=worker_name())


@shared_task(name="copydesk.roll_up", ignore_result=True)
def roll_up() -> None:
    """Count receipts by source and hour and judge the sources, in one worker of all, for a quarter of the task's time limit.

    A lost message delays it until the next one. Raises SQLAlchemyError for errors that are not transient.
    """
    config = settings()
    if not _client().set(keys.ROLLED_UP, worker_name(), nx=True, ex=_ROLL_UP_PAUSE_SECONDS):
        return
    oldest = {lane.name: _queue(lane.name).counts().oldest_id for lane in config.lane_list}
    waiting = {lane: id_key(id_)[0] / 1000 for lane, id_ in oldest.items() if id_}
    paused = {
        (lane.name, source): pause.at
        for lane in config.lane_list
        for source, pause in paused_sources(_client(), lane.name).items()
    }
    try:
        roll_up_sources(_engine(), config, waiting, paused=paused, seconds=config.task_seconds / 4)
    except SQLAlchemyError as error:
        if not is_transient(error):
            raise
        log.warning(
            "The store cannot be used, the counts of sources wait",
            error=str(driver_error(error)),
            next="they continue where they stopped",
        )


@shared_task(name=SUBMIT, ignore_result=True)
def submit(*args: str | None, **arguments: str | None) -> None:
    """Put a document on its lane. This is the Celery entry point for producers.

    Workers never execute it: `worker.runtime.broker.task_door` takes its messages off the queue. Raises ValueError with
    the problem code when it is called directly with wrong arguments.
    """
    given = bind_arguments(list(args), arguments)
    lanes = [lane.name for lane in settings().lane_list]
    _client().xadd(given["lane"] if given.get("lane") in lanes else lanes[0], submission_of(given).fields())


__all__ = ["complete_enrichment", "ingest", "maintain", "receipt_of", "roll_up", "submit", "worker_name"]
