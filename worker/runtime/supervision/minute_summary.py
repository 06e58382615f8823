"""A log line each minute: entries added and settled, the backlog, the causes of rejection.

One worker of all writes it.
"""

from __future__ import annotations

import contextlib
import threading
import time

import redis
from celery import bootsteps

from worker.activity.hour_maxima import keep_maxima
from worker.activity.minute_counters import Minute, MinuteCounters
from worker.monitoring import rates, stage_times
from worker.queue import keys
from worker.queue.connection import connect
from worker.queue.lease_queue import LeaseQueue, id_key
from worker.queue.urgent_writes import write_when_full
from worker.runtime.controller import Controller
from worker.runtime.supervision.supervision_loop import Supervision
from worker.settings import INTERNAL_LANE, Settings, settings
from worker.telemetry.logs import get_logger

log = get_logger("summary")

_LATER_SECONDS = 3.0
"""Delay after a minute's end, until its last batches are counted."""
_MAX_CAUSES = 10


class Summary(bootsteps.StartStopStep):
    """Celery bootstep for `SummaryLoop`."""

    requires = (Supervision,)
    loop: SummaryLoop | None = None

    def start(self, parent: Controller) -> None:
        self.loop = SummaryLoop(settings())
        self.loop.start()

    def stop(self, parent: Controller) -> None:
        if self.loop is not None:
            self.loop.stop()

    terminate = stop


class SummaryLoop(threading.Thread):
    """Writes a log line each minute until stopped."""

    def __init__(self, config: Settings) -> None:
        super().__init__(name="copydesk-summary", daemon=True)
        self._client = connect(config.redis, retries=0)
        self._lanes = [*(lane.name for lane in config.lane_list), INTERNAL_LANE]
        self._ended = threading.Event()

    def stop(self) -> None:
        self._ended.set()
        self.join(timeout=10)

    def run(self) -> None:
        while True:
            now = time.time()
            if self._ended.wait(60 - now % 60 + _LATER_SECONDS):
                return
            try:
                log_minute(self._client, self._lanes, now=self._client.time()[0])
            except redis.RedisError:
                continue  # the dispatcher logs the outage
            except Exception:
                log.exception("The summary failed", next="it is retried in a minute")


def log_minute(client: redis.Redis, lanes: list[str], *, now: float) -> bool:
    """Log the minute before `now` (seconds since 1970); return False if another worker did or nothing happened.

    The hour of the minute keeps its maxima.

    The counts are of all workers together, so the first worker writes the line for all. Raises redis.RedisError.
    """
    minute = int(now // 60) - 1
    if not write_when_full(client, "SET", keys.summary(minute), b"said", "NX", "EX", 300):
        return False
    earlier, before, last = MinuteCounters(client).window(3, now=minute * 60)
    with contextlib.suppress(
        redis.ResponseError
    ):  # Redis is out of memory: the line is worth more than a peak in a plot
        keep_maxima(client, last.at, {**rates.maxima_of(last), **stage_times.maxima_of(last)})
    moved = rates.flow([last], before, seconds=60)
    waiting, oldest = _backlog(client, lanes, now)
    if not (moved.added or moved.settled or waiting or _is_active(earlier, before)):
        return False
    fields = {
        "added": moved.added,
        "settled": moved.settled,
        "rate": moved.rate,
        "outcomes": dict(moved.outcomes),
        "backlog": waiting,
        "oldest_seconds": oldest,
        "rejected": rates.top(moved.rejected, _MAX_CAUSES),
    }
    always = ("added", "settled", "rate")
    log.info("The last minute", **{name: value for name, value in fields.items() if value or name in always})
    return True


def _is_active(earlier: Minute, minute: Minute) -> bool:
    """Return whether `minute` had any activity. If it had, the first idle minute after it is logged as well."""
    return bool(minute.outcomes) or any(count != earlier.added.get(lane, count) for lane, count in minute.added.items())


def _backlog(client: redis.Redis, lanes: list[str], now: float) -> tuple[dict[str, int], float | None]:
    waiting, oldest = {}, None
    for name in lanes:
        try:
            state = LeaseQueue(client, name).state()
        except redis.ResponseError:
            continue  # the lane does not exist yet
        if state.backlog:
            waiting[name] = state.backlog
        if state.oldest_id is not None:
            age = max(0.0, round(now - id_key(state.oldest_id)[0] / 1000, 1))
            oldest = max(age, oldest or 0.0)
    return waiting, oldest
