"""Capacity checks, the circuit breaker and the slow-down of producers. `SupervisionLoop` runs them."""

from __future__ import annotations

import time

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

_ROOM_EVERY_SECONDS = 5.0
_BREAKER_EVERY_SECONDS = 10.0
_LOG_EVERY_SECONDS = 60.0


class AdmissionControl:
    """Called at each heartbeat of `SupervisionLoop`. Not thread-safe."""

    def __init__(self, config: Settings, client: redis.Redis, name: str) -> None:
        self._config = config
        self._client = client
        self._name = name
        self._counters = MinuteCounters(client)
        self._slow_down = SlowDown(config, client)
        self._queues = [LeaseQueue(client, lane.name) for lane in config.lane_list]
        self._next_room = self._next_breaker = 0.0
        self._logged_at: dict[str, float] = {}
        self.room = Capacity()

    def look(self, *, consuming: bool) -> None:
        """Run the checks that are due.

        `consuming`: whether the dispatcher dispatches documents. Raises redis.RedisError.
        """
        now = time.monotonic()
        if now >= self._next_room:
            self._next_room = now + _ROOM_EVERY_SECONDS
            self.room = capacity(self._config, self._client)
            self._alarm("full", self.room.full, "nothing is taken in until there is room; then it goes on by itself")
            self._alarm("low", self.room.low, "producers are told to slow down (copydesk:slow-down)")
        if now >= self._next_breaker:
            self._next_breaker = now + _BREAKER_EVERY_SECONDS
            self._break()
        self._slow_down.update(self._queues, trouble=not consuming or self.room != Capacity())

    def _alarm(self, what: str, sentence: str, consequence: str) -> None:
        now = time.monotonic()
        if not sentence:
            if self._logged_at.pop(what, None) is not None:
                log.warning("There is room again", next="it goes on")
        elif now - self._logged_at.get(what, -_LOG_EVERY_SECONDS) >= _LOG_EVERY_SECONDS:
            self._logged_at[what] = now
            log.error("There is little room left", error=sentence, next=consequence)

    def _break(self) -> None:
        minutes = self._counters.window(self._config.breaker_minutes)
        resumed = lane_pauses.resumed(self._client)
        for lane in self._config.lane_list:
            why = trip_reason(minutes, lane.name, self._config, resumed=resumed.get(lane.name, -1))
            if why and lane_pauses.pause(self._client, lane.name, Pause(self._name, time.time(), why, by="breaker")):
                log.error("The circuit breaker pauses a lane", lane=lane.name, error=why,
                          next=f"its documents wait; when the cause is gone: copydesk lane resume {lane.name}")  # fmt: skip
