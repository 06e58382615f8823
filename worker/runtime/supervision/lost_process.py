"""What follows when a pool process is lost: which of its entries count an attempt, and how they are tried again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from worker.queue.crashes import CrashLog, CrashReport
from worker.queue.lease_queue import LeaseQueue
from worker.queue.store_timeouts import StoreTimeouts
from worker.runtime.dispatch.reaper import small_batch
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class LostBatch:
    """The batch of a lost process. `stage`: what it did with the batch, `read` or `store`; empty if it held no entry."""

    ids: list[str]
    stage: str
    next: str
    """What follows, for the log."""


def record_loss(queue: LeaseQueue, crash: CrashReport, config: Settings) -> LostBatch:
    """Record the crash of the process `crash.where`, and free all entries that it held for the reaper.

    An attempt counts for each entry that the process was reading, and each is sent again alone. If the process was
    storing its batch, the batch is divided as after a time-out of the store: into small batches, then into single
    entries. Of an entry that was alone the attempt counts if others got an outcome since the first such failure:
    otherwise the cause may be the store. Raises redis.RedisError.
    """
    crashes = CrashLog(queue)
    held = crashes.held_by(crash.where)
    ids = [entry.id for entry in held]
    attempts = {entry.id: entry.attempts for entry in held}
    read = [entry.id for entry in held if entry.is_read]
    crashes.record_crash(crash, read)
    is_small = len(held) <= small_batch(config)
    if is_small and not read:
        failures = StoreTimeouts(queue, (lane.name for lane in config.lane_list))
        if len(ids) == 1 and failures.are_others_stored(ids[0]):
            crashes.record_crash(replace(crash, how=f"{crash.how} while storing"), ids)
            attempts[ids[0]] += 1
        failures.record_together(ids)
    queue.release(crash.where, attempts, lease_seconds=config.lease_seconds)
    if not held:
        return LostBatch([], "", "it held no document")
    parts = "each alone" if read or is_small else "in small batches"
    return LostBatch(ids, "read" if read else "store", f"its documents are retried, {parts}")
