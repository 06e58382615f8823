"""The Celery tasks: claim → pipeline → settle. Thin: what happens to documents is in `worker.pipeline`."""

from __future__ import annotations

import functools
import os
import socket
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import redis
from celery import shared_task
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from schemas.problem import Problem, problem
from schemas.receipt import Receipt
from worker.document.limits import Limits
from worker.intake.connect import connect
from worker.intake.producer import submit_entry
from worker.intake.stream import Claimed, LeaseQueue
from worker.observe.failpoints import failpoint
from worker.observe.logs import get_logger
from worker.operate.maintenance import expire_raw
from worker.pipeline import Batch, process
from worker.settings import settings
from worker.store.engine import is_conflict, is_transient, make_engine
from worker.store.version import Version

log = get_logger("ingest")

_REPLIES_KEPT = 10_000
_REPLY_SECONDS = 3600
_CONFLICT_TRIES = 3
_STORE_DELAY_SECONDS = 2.0


@functools.cache
def _engine() -> Engine:
    return make_engine(settings())


@functools.cache
def _client() -> redis.Redis:
    return connect(settings().redis)


@functools.cache
def _queue(lane: str) -> LeaseQueue:
    return LeaseQueue(_client(), lane)


def worker_name() -> str:
    """The name of this pool process in receipts and logs."""
    return f"{socket.gethostname()}:{os.getpid()}"


@shared_task(name="copydesk.ingest", ignore_result=True, acks_late=False, reject_on_worker_lost=False)
def ingest(lane: str, ids: list[str]) -> None:
    """Take the entries `ids` of `lane` through the pipeline, and settle them when the store has committed."""
    config, queue, worker = settings(), _queue(lane), worker_name()
    failpoint("ingest.received")
    try:
        most = config.max_document_bytes + 65_536  # of the whole entry: the document, and the small fields beside it
        entries = queue.claim(worker, ids, lease_seconds=config.lease_seconds, most_bytes=most)
    except redis.ResponseError as error:
        log.warning(
            "A claim check cannot be followed", lane=lane, error=str(error), next="it is dropped; its entries are not"
        )
        return
    if not entries:
        return
    failpoint("ingest.claimed")
    try:
        _ingest_entries(queue, entries, worker)
    except SQLAlchemyError as error:
        if not is_transient(error):
            raise
        log.warning(
            "The store cannot be used, the documents wait",
            lane=lane, documents=len(entries), error=str(getattr(error, "orig", error)),
            next=f"they are tried again in {_STORE_DELAY_SECONDS:.0f} s; nothing is lost",
        )  # fmt: skip
        _release(queue, worker, entries)


def _ingest_entries(queue: LeaseQueue, entries: Sequence[Claimed], worker: str) -> None:
    for tries in range(_CONFLICT_TRIES):
        try:
            _process_and_settle(queue, entries, worker)
        except SQLAlchemyError as error:
            if is_transient(error):
                raise
            if is_conflict(error) and tries + 1 < _CONFLICT_TRIES:
                continue
            _divide(queue, entries, worker, error)
            return
        except redis.RedisError:
            raise
        except Exception as error:  # noqa: BLE001  a bug on one document must not stop the others
            _divide(queue, entries, worker, error)
            return
        else:
            return


def _divide(queue: LeaseQueue, entries: Sequence[Claimed], worker: str, error: Exception) -> None:
    """Something slipped through: find the one document it is about, which becomes a dead letter; the others are stored."""
    if len(entries) == 1:
        log.error("A document cannot be stored", id=entries[0].id, lane=queue.lane, error=repr(error),
                  next="it becomes a dead letter", exc_info=error)  # fmt: skip
        verdict = problem("internal_error", f"The worker failed on it: {type(error).__name__}.")
        _process_and_settle(queue, entries, worker, verdict=verdict)
        return
    half = len(entries) // 2
    for part in (entries[:half], entries[half:]):
        _ingest_entries(queue, part, worker)


def _process_and_settle(
    queue: LeaseQueue, entries: Sequence[Claimed], worker: str, *, verdict: Problem | None = None
) -> None:
    config = settings()
    source = next((lane.source for lane in config.lane_list if lane.name == queue.lane), None)
    batch = Batch(queue.lane, source, worker, config.max_attempts, Limits(max_bytes=config.max_document_bytes), verdict)
    ids = [entry.id for entry in entries]
    versions = process(
        _engine(),
        batch,
        entries,
        innocent=lambda: queue.keep(worker, ids),
        suspect=lambda: queue.suspect(worker, ids),
        digest=lambda id_, size: queue.digest(id_, b"raw", size),
    )
    failpoint("ingest.committed")
    for version in versions:
        if version.collides:
            fresh = queue.readd(version.id)
            failpoint("ingest.readded")
            log.warning(
                "An id came again with another document", id=version.id, lane=version.lane, next=f"it is now {fresh}"
            )
    versions = [version for version in versions if not version.collides]
    queue.settle((version.id, str(version.outcome)) for version in versions)
    failpoint("ingest.settled")
    _reply(versions, worker)
    failpoint("ingest.replied")
    _say(batch, versions, worker)


def _release(queue: LeaseQueue, worker: str, entries: Sequence[Claimed]) -> None:
    ids = [entry.id for entry in entries]
    try:
        queue.release(worker, ids, lease_seconds=settings().lease_seconds, delay_seconds=_STORE_DELAY_SECONDS)
        failpoint("ingest.released")
    except redis.RedisError as error:
        log.warning("Redis cannot be used either", error=str(error), next="the lease runs out by itself")


def _reply(versions: Sequence[Version], worker: str) -> None:
    """Put the receipts where their senders asked for them. A sender's stream that fails is only logged."""
    asked = [version for version in versions if version.reply_to]
    if not asked:
        return
    try:
        with _client().pipeline(transaction=False) as pipe:
            for version in asked:
                body = receipt_of(version, worker).model_dump_json()
                pipe.xadd(version.reply_to or "", {"receipt": body}, maxlen=_REPLIES_KEPT, approximate=True)
                pipe.expire(version.reply_to or "", _REPLY_SECONDS)
            pipe.execute(raise_on_error=False)
    except redis.RedisError as error:
        log.warning("Receipts could not be sent", documents=len(asked), error=str(error))


def receipt_of(version: Version, worker: str) -> Receipt:
    """The receipt of a settled version, as `reply_to` and `explain` show it."""
    return Receipt(
        id=version.id, lane=version.lane, source=version.source, key=version.key, outcome=version.outcome,
        url=version.url, problems=list(version.problems), received_at=version.received_at,
        settled_at=datetime.now(UTC), worker=worker, attempts=version.attempts + 1,
    )  # fmt: skip


def _say(batch: Batch, versions: Sequence[Version], worker: str) -> None:
    for version in versions:
        outcome = str(version.outcome)
        fields: dict[str, Any] = {
            "id": version.id, "lane": version.lane, "source": version.source, "key": version.key, "outcome": outcome,
            "url": version.url, "trace_id": version.trace_id, "codes": [problem.code for problem in version.problems],
        }  # fmt: skip
        say = log.debug if outcome == "unchanged" else log.warning if outcome == "rejected" else log.info
        say(f"Document {outcome}", **{name: value for name, value in fields.items() if value})
    outcomes = Counter(str(version.outcome) for version in versions)
    log.info("Batch done", lane=batch.lane, documents=len(versions), bytes=sum(v.raw_size for v in versions),
             outcomes=dict(outcomes), ms=batch.timings, worker=worker)  # fmt: skip


@shared_task(name="copydesk.maintain", ignore_result=True)
def maintain() -> None:
    """Hourly: let go of what nothing needs any more."""
    removed = expire_raw(_engine(), days=settings().raw_days)
    if removed:
        log.info("Raw documents expired", documents=removed)


@shared_task(name="copydesk.submit", ignore_result=True)
def submit(
    raw: str,
    source: str | None = None,
    key: str | None = None,
    op: str | None = None,
    reply_to: str | None = None,
    lane: str | None = None,
) -> None:
    """For Celery-style producers: put the document on the stream, as every other producer does."""
    lanes = [known.name for known in settings().lane_list]
    target = lane if lane in lanes else lanes[0]
    id_ = submit_entry(
        _client(), target, raw.encode("utf-8", "surrogatepass"), source=source, key=key, op=op, reply_to=reply_to
    )
    failpoint("submit.added")
    log.debug("Put on the stream", id=id_, lane=target, source=source, key=key)


__all__ = ["ingest", "maintain", "receipt_of", "submit", "worker_name"]
