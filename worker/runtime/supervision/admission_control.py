"""Capacity checks, the circuit breaker and the slow-down of producers. `SupervisionLoop` runs them."""

from __future__ import annotations

import time
from typing import NamedTuple

import redis

from worker.activity.minute_counters import MinuteCounters
from worker.monitoring.capacity import Capacity, capacity
from worker.queue import lane_pauses
from worker.queue.lane_pauses import Pause
from worker.queue.lease_queue import LeaseQueue
from worker.runtime.supervision.circuit_breaker import trip_reason
from worker.runtime.supervision.slowdown import SlowDown
from worker.settings import Settings
from worker.telemetry.logs import get_logger

log = get_logger("worker")

_CAPACITY_EVERY_SECONDS = 5.0
_BREAKER_EVERY_SECONDS = 10.0
_LOG_EVERY_SECONDS = 60.0


class _Alarm(NamedTuple):
    """The log lines about a lack of capacity and its end."""

    event: str
    consequence: str
    end: str
    after: str


_EXHAUSTED = _Alarm(
    "Capacity is exhausted",
    "no document is dispatched; it continues by itself when there is capacity",
    "Capacity is available again",
    "documents are dispatched again",
)
_LOW = _Alarm(
    "Capacity is low",
    "producers are asked to slow down (copydesk:slow-down)",
    "Capacity is no longer low",
    "producers are not slowed down any more",
)


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
        self._logged_at: dict[_Alarm, float] = {}
        self.capacity = Capacity()

    def check(self, *, consuming: bool) -> None:
        """Run the checks that are due.

        `consuming`: whether the dispatcher dispatches documents. Raises redis.RedisError.
        """
        now = time.monotonic()
        if now >= self._next_capacity:
            self._next_capacity = now + _CAPACITY_EVERY_SECONDS
            self.capacity = capacity(self._config, self._client)
            self._log_change(_EXHAUSTED, self.capacity.full)
            self._log_change(_LOW, self.capacity.tight)
        if now >= self._next_breaker:
            self._next_breaker = now + _BREAKER_EVERY_SECONDS
            self._pause_failing_lanes()
        self._slow_down.update(self._queues, trouble=not consuming or self.capacity != Capacity())

    def _log_change(self, alarm: _Alarm, reason: str) -> None:
        """Log `alarm` once a minute while it has a `reason`, and its end."""
        now = time.monotonic()
        if not reason:
            if self._logged_at.pop(alarm, None) is not None:
                log.warning(alarm.end, next=alarm.after)
        elif now - self._logged_at.get(alarm, -_LOG_EVERY_SECONDS) >= _LOG_EVERY_SECONDS:
            self._logged_at[alarm] = now
            log.error(alarm.event, error=reason, next=alarm.consequence)

    def _pause_failing_lanes(self) -> None:
        minutes = self._counters.window(self._config.breaker_minutes)
        resumed = lane_pauses.resumed(self._client)
        for lane in self._config.lane_list:
            why = trip_reason(minutes, lane.name, self._config, resumed=resumed.get(lane.name, -1))
            if why and lane_pauses.pause(self._client, lane.name, Pause(self._name, time.time(), why, by="breaker")):
                log.error(
                    "The circuit breaker pauses a lane",
                    lane=lane.name,
                    error=why,
                    next=f"its documents wait; when the cause is gone: copydesk lane resume {lane.name}",
                )
