"""The Celery tasks. A claimed batch is processed in `ingestion.py`, its documents in `worker.pipeline`."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import redis
from celery import Task, shared_task
from sqlalchemy.exc import SQLAlchemyError

from worker.jobs.reenrichment import complete
from worker.jobs.retention import prune
from worker.monitoring.sources.roll_up import roll_up_sources
from worker.producer.task_arguments import SUBMIT, bind_arguments, submission_of
from worker.producer.tokens import remove_lasting_tokens
from worker.queue import keys
from worker.queue.lease_queue import id_key
from worker.queue.pauses.source_pauses import paused_sources
from worker.queue.urgent_writes import write_when_full
from worker.runtime import connections
from worker.runtime.connections import worker_name
from worker.runtime.ingestion import ingest_claimed, log_redis_outage
from worker.settings import settings
from worker.store.engine import driver_error, is_transient
from worker.telemetry.failpoints import failpoint
from worker.telemetry.logs import get_logger
from worker.word_index.filling import fill as fill_word_index

log = get_logger("ingest")

MAINTAIN_EVERY_SECONDS = 3600
_ROLL_UP_PAUSE_SECONDS = 20
_INDEX_SECONDS_IF_BUSY = 1.0
_REDIS_UNREACHABLE = (redis.ConnectionError, redis.TimeoutError)
_COMPLETE_SECONDS = 2.0


class IngestTask(Task):  # type: ignore[type-arg]  # it has no parameters of its own
    """Uses a `Request` class that reports to the main process how each batch ends."""

    Request = "worker.runtime.dispatch.request:Request"


@shared_task(name="copydesk.ingest", base=IngestTask, ignore_result=True, acks_late=False, reject_on_worker_lost=False)
def ingest(lane: str, ids: list[str]) -> None:
    """Claim the entries `ids` of `lane`, process them, and settle them after the store has committed."""
    config, queue, worker = settings(), connections.queue(lane), worker_name()
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
        log_redis_outage(lane, error)
        return
    if not entries:
        return
    failpoint("ingest.claimed")
    ingest_claimed(queue, entries)


def _is_first(key: str, seconds: int) -> bool:
    """Return whether no worker has set `key` in the last `seconds`; set it if so."""
    client = connections.client()
    if write_when_full(client, "SET", key, worker_name(), "NX", "EX", seconds):
        return True
    # Another program may have set it without an expiry: then no worker would ever be the first again.
    client.expire(key, seconds, lt=True)
    return False


@shared_task(name="copydesk.maintain", ignore_result=True)
def maintain(resume: str | None = None) -> None:
    """Delete expired rows, hourly, in whichever worker starts first, for a quarter of the task's time limit.

    Then the task sends itself again with the place to resume at. A lost message delays the rest by an hour. Raises
    SQLAlchemyError for errors of the store that are not transient.
    """
    if resume is None and not _is_first(keys.MAINTAINED, MAINTAIN_EVERY_SECONDS):
        return
    deleted: Counter[str] = Counter()
    if resume is None and (tokens := remove_lasting_tokens(connections.client())):
        deleted["tokens without an expiry"] = tokens
    try:
        done = prune(
            connections.engine(),
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
        done = complete(
            connections.engine(), connections.rules(), seconds=min(_COMPLETE_SECONDS, settings().task_seconds / 4)
        )
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
    """Count receipts by source and hour, judge the sources, and index words, in one worker of all.

    Each takes a quarter of the task's time limit at most. While documents wait, words are indexed for a second: less than
    2 % of two pool processes. A lost message delays it until the next one. Raises SQLAlchemyError for errors that are not
    transient.
    """
    config = settings()
    if not _is_first(keys.ROLLED_UP, _ROLL_UP_PAUSE_SECONDS):
        return
    oldest = {lane.name: connections.queue(lane.name).counts().oldest_id for lane in config.lane_list}
    waiting = {lane: id_key(id_)[0] / 1000 for lane, id_ in oldest.items() if id_}
    paused = {
        (lane.name, source): pause.at
        for lane in config.lane_list
        for source, pause in paused_sources(connections.client(), lane.name).items()
    }
    try:
        now = datetime.fromtimestamp(connections.client().time()[0], UTC)
        seconds = config.task_seconds / 4
        roll_up_sources(connections.engine(), config, waiting, paused=paused, redis_time=now, seconds=seconds)
        if config.search:
            seconds = _INDEX_SECONDS_IF_BUSY if waiting else config.task_seconds / 4
            fill_word_index(connections.engine(), config, seconds=seconds)
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
    connections.client().xadd(given["lane"] if given.get("lane") in lanes else lanes[0], submission_of(given).fields())


__all__ = ["complete_enrichment", "ingest", "maintain", "roll_up", "submit", "worker_name"]
