"""Capacity checks, the circuit breaker and the slow-down of producers. `SupervisionLoop` runs them."""

from __future__ import annotations

import shlex
import threading
import time

import redis
from sqlalchemy.exc import SQLAlchemyError

from worker.activity.minute_counters import Minute, MinuteCounters, short_source
from worker.monitoring.servers.capacity import Capacity, capacity
from worker.queue.lease_queue import LeaseQueue
from worker.queue.pauses import lane_pauses
from worker.queue.pauses.lane_pauses import Pause
from worker.queue.pauses.source_pauses import pause_source, paused_sources, resumed_sources
from worker.runtime.supervision.circuit_breaker import Trip, trip
from worker.runtime.supervision.slowdown import SlowDown
from worker.settings import Lane, Settings
from worker.store.engine import driver_error, make_engine, writing
from worker.store.operator_actions import BREAKER, WORKER, add_action
from worker.telemetry.logs import get_logger

log = get_logger("worker")

_CAPACITY_EVERY_SECONDS = 5.0
_BREAKER_EVERY_SECONDS = 10.0
_LOG_EVERY_SECONDS = 60.0
_IN_FLIGHT_SECONDS = 60.0
"""Until then documents of a source that was paused are still counted: they were being processed."""
_MAX_PAUSED_SOURCES = 20
"""A producer may change its name. So many paused sources of a lane pause the lane the next time."""


class _LastingCondition:
    """Decides when a condition is logged: when it begins, once a minute while it lasts, and when it has ended."""

    def __init__(self) -> None:
        self._logged_at: float | None = None

    def is_due(self, is_active: bool) -> bool:
        """Return whether the present state must be logged."""
        now, last = time.monotonic(), self._logged_at
        if not is_active:
            self._logged_at = None
            return last is not None
        if last is not None and now - last < _LOG_EVERY_SECONDS:
            return False
        self._logged_at = now
        return True


class AdmissionControl:
    """Called at each heartbeat of `SupervisionLoop`. Not thread-safe."""

    def __init__(self, config: Settings, client: redis.Redis, name: str) -> None:
        self._config = config
        self._client = client
        self._name = name
        self._counters = MinuteCounters(client)
        self._slow_down = SlowDown(config, client)
        self._queues = [LeaseQueue(client, lane.name) for lane in config.lane_list]
        self._next_capacity = self._next_breaker = 0.0
        self._exhausted, self._low = _LastingCondition(), _LastingCondition()
        self.capacity = Capacity()

    def check(self, *, consuming: bool) -> None:
        """Run the checks that are due.

        `consuming`: whether the dispatcher dispatches documents. Raises redis.RedisError.
        """
        now = time.monotonic()
        if now >= self._next_capacity:
            self._next_capacity = now + _CAPACITY_EVERY_SECONDS
            self.capacity = capacity(self._config, self._client)
            self._log_capacity(self.capacity.full, self.capacity.low)
        if now >= self._next_breaker:
            self._next_breaker = now + _BREAKER_EVERY_SECONDS
            self._pause_what_fails()
        self._slow_down.update(self._queues, trouble=not consuming or self.capacity != Capacity())

    def _log_capacity(self, full: str, low: str) -> None:
        """Log what is exhausted (`full`) and what is low, as sentences; empty: nothing."""
        if self._exhausted.is_due(bool(full)):
            if full:
                log.error("Capacity is exhausted", error=full, next="no document is dispatched until there is capacity")
            else:
                log.warning("Capacity is available again", next="documents are dispatched again")
        if self._low.is_due(bool(low)):
            if low:
                log.error("Capacity is low", error=low, next="producers are asked to slow down (copydesk:slow-down)")
            else:
                log.warning("Capacity is no longer low", next="producers are not slowed down any more")

    def _pause_what_fails(self) -> None:
        minutes = self._counters.window(self._config.breaker_minutes)
        resumed = lane_pauses.resumed(self._client)
        for lane in self._config.lane_list:
            self._pause_failing(lane, minutes, resumed.get(lane.name, -1))

    def _pause_failing(self, lane: Lane, minutes: list[Minute], resumed: float) -> None:
        paused = paused_sources(self._client, lane.name)
        ended = {source: pause.at + _IN_FLIGHT_SECONDS for source, pause in paused.items()}
        ignored = {
            short_source(source): at for source, at in (resumed_sources(self._client, lane.name) | ended).items()
        }
        found = trip(minutes, lane.name, self._config, resumed=resumed, ignored=ignored)
        if found is None:
            return
        # Rejections under the name of a paused source can only be of documents whose source is not valid.
        sources = [source for source in found.sources if source not in paused]
        if lane.source is None and sources and len(paused) + len(sources) <= _MAX_PAUSED_SOURCES:
            for source in sources:
                self._pause_source(lane.name, source, found)
        elif lane_pauses.pause(self._client, lane.name, self._pause(found)):
            self._record(lane.name, found)
            log.error(
                "The circuit breaker pauses a lane",
                lane=lane.name,
                error=found.why,
                next=f"its documents wait; when the cause is gone: copydesk lane resume {lane.name}",
            )

    def _pause_source(self, lane: str, source: str, found: Trip) -> None:
        if pause_source(self._client, lane, source, self._pause(found)):
            self._record(f"source {source} of lane {lane}", found)
            log.error(
                "The circuit breaker pauses a source",
                lane=lane,
                source=source,
                error=found.why,
                next="its documents wait, others are processed; when the cause is gone: "
                f"copydesk lane resume {lane} --source {shlex.quote(source)}",
            )

    def _pause(self, found: Trip) -> Pause:
        return Pause(self._name, self._client.time()[0], found.why, by="breaker")

    def _record(self, subject: str, found: Trip) -> None:
        """Record a pause in a thread of its own: a store that hangs must not delay the heartbeats."""
        threading.Thread(target=record_pause, args=(self._config, subject, found.why), daemon=True).start()


def record_pause(config: Settings, subject: str, why: str) -> None:
    """Record that the circuit breaker paused `subject`, for `copydesk actions` and the console.

    If the store cannot be used, only the log has it.
    """
    engine = make_engine(config, pooled=False)
    try:
        with writing(engine) as connection:
            add_action(connection, BREAKER, WORKER, "lane pause", subject, why)
    except SQLAlchemyError as error:
        log.warning(
            "An action could not be recorded",
            who=BREAKER,
            action="lane pause",
            subject=subject,
            error=str(driver_error(error)),
            next="it is done; copydesk actions does not show it",
        )
    finally:
        engine.dispose()
