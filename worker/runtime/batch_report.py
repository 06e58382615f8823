"""What is published about a batch after the commit: receipts, the change feed, minute counters and the outcome feed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import redis

from schemas.problem import Severity
from schemas.receipt import Receipt
from worker.activity import reply_streams
from worker.activity.change_feed import append, append_refused, changes_of
from worker.activity.minute_counters import NAMED_OTHER, OTHER, Counts, MinuteCounters
from worker.activity.outcome_feed import publish
from worker.pipeline import Batch
from worker.store.decide.batch_item import BatchItem
from worker.telemetry.logs import get_logger

log = get_logger("ingest")

_MAX_REPLIES = 10_000


def announce(client: redis.Redis, batch: Batch, versions: Sequence[BatchItem]) -> None:
    """Send receipts to the `reply_to` streams and write the change feed, in one round trip.

    Must be called before the entries are settled: a crash in between then repeats receipts and never loses one. What
    Redis refuses is logged, and the entries can be settled nevertheless: a Redis that is out of memory gets some back
    by that. Raises redis.RedisError only if Redis does not answer.
    """
    now = batch.clock()
    changes = list(changes_of(versions, now))
    requested = [(version.reply_to, version) for version in versions if version.reply_to]
    with client.pipeline(transaction=False) as pipe:
        append(pipe, changes)
        reply_streams.use(pipe, ((version.source, reply_to) for reply_to, version in requested), now.timestamp())
        for reply_to, version in requested:
            receipt = receipt_of(version, batch.worker, now).model_dump_json()
            pipe.xadd(reply_to, {"receipt": receipt}, maxlen=_MAX_REPLIES, approximate=True)
            pipe.expire(reply_to, reply_streams.EXPIRE_SECONDS)
        replies = pipe.execute(raise_on_error=False) if len(pipe) else []
    append_refused(client, changes, replies[: len(changes)])
    lost = [reply for reply in replies[: len(changes)] if isinstance(reply, redis.ResponseError)]
    lost = [reply for reply in lost if not isinstance(reply, redis.exceptions.OutOfMemoryError)]
    if lost:  # the feed's key is no stream, or this client may not write to it
        log.warning(
            "Changes could not be published",
            documents=len(lost),
            error=str(lost[0]),
            next="the store has them; who reads the change feed must read the store again",
        )
    rejected_items = [str(reply) for reply in replies[len(changes) :] if isinstance(reply, redis.ResponseError)]
    if rejected_items:  # Redis is full, or `reply_to` was a key of another type, or one that this client may not write
        log.warning(
            "Receipts could not be added to reply_to",
            documents=len(rejected_items),
            error=rejected_items[0],
            next="the outcomes are in the store: copydesk explain",
        )


def count(client: redis.Redis, batch: Batch, versions: Sequence[BatchItem], *, work_ms: float) -> None:
    """Update the minute counters and the outcome feed, in one round trip. Errors are only logged."""
    try:
        with client.pipeline(transaction=False) as pipe:
            MinuteCounters(client).add(_counts(batch, versions, work_ms), pipe)
            publish(
                pipe,
                lane=batch.lane,
                worker=batch.worker,
                rows=[
                    (v.receipt_id, v.source, str(v.outcome), v.key, v.url, [problem.code for problem in v.problems])
                    for v in versions
                ],
            )
            pipe.execute(raise_on_error=False)
    except redis.RedisError as error:
        log.warning(
            "A batch could not be counted",
            documents=len(versions),
            error=str(error),
            next="the outcomes are in the store; only the counters of this minute miss the batch",
        )


def _counts(batch: Batch, versions: Sequence[BatchItem], work_ms: float) -> Counts:
    counts = Counts(batch.lane, work_ms=work_ms, stages_ms=batch.timings)
    now = batch.clock()
    for version in versions:
        counts.waits.append(max(0.0, (now - version.received_at).total_seconds()))
        # The lane's name stands for an invalid source, and for crawlers that give none: they must not be paused for it.
        is_invalid = batch.source is None and any(problem.code == "bad_source" for problem in version.problems)
        source = OTHER if is_invalid else NAMED_OTHER if version.source == OTHER else version.source
        counts.outcomes[source, str(version.outcome)] += 1
        first = next((problem.code for problem in version.problems if problem.severity is Severity.ERROR), None)
        if first is not None:
            counts.codes[source, first] += 1
    return counts


def receipt_of(version: BatchItem, worker: str, now: datetime) -> Receipt:
    """Return the receipt of a settled document, as `reply_to` and `explain` show it."""
    return Receipt(
        id=version.original_id or version.id,
        lane=version.lane,
        source=version.source,
        key=version.key,
        outcome=version.outcome,
        url=version.url,
        problems=list(version.problems),
        received_at=version.received_at,
        settled_at=now,
        worker=worker,
        attempts=version.attempts + 1,
        readded_as=version.id if version.original_id else None,
    )
