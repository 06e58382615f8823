"""What the keeper looks after besides presence: room, circuit breaker, and the pace that producers should keep."""

from __future__ import annotations

import time

import redis

from worker.intake import lanes
from worker.intake.lanes import Pause
from worker.intake.stream import LeaseQueue
from worker.intake.tally import Tally
from worker.observe.logs import get_logger
from worker.operate.room import Room, room
from worker.runtime.breaker import verdict
from worker.settings import Settings

log = get_logger("worker")

SLOW_DOWN = "copydesk:slow-down"
"""Seconds that a polite producer should wait between batches; absent: no worker is alive."""

_ROOM_EVERY_SECONDS = 5.0
_BREAKER_EVERY_SECONDS = 10.0
_SAID_EVERY_SECONDS = 60.0
_SLOW_DOWN_SECONDS = 5
_SLOW_DOWN_KEPT_SECONDS = 10
_SAY_PACE = "#!lua flags=allow-oom\nredis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])"


class Guard:
    """Called at each beat of the keeper. Raises redis.RedisError."""

    def __init__(self, config: Settings, client: redis.Redis, name: str) -> None:
        self._config = config
        self._client = client
        self._name = name
        self._tally = Tally(client)
        self._queues = [LeaseQueue(client, lane.name) for lane in config.lane_list]
        self._next_room = self._next_breaker = 0.0
        self._said_at: dict[str, float] = {}
        self.room = Room()

    def look(self, *, consuming: bool, backlog: int) -> None:
        """Find out what there is to find out now."""
        now = time.monotonic()
        if now >= self._next_room:
            self._next_room = now + _ROOM_EVERY_SECONDS
            self.room = room(self._config, self._client)
            self._alarm("full", self.room.full, "nothing is taken in until there is room; then it goes on by itself")
            self._alarm("tight", self.room.tight, "producers are told to slow down (copydesk:slow-down)")
        if now >= self._next_breaker:
            self._next_breaker = now + _BREAKER_EVERY_SECONDS
            self._break()
        slow = not consuming or self.room != Room() or backlog > self._config.slow_down_backlog
        self._client.eval(_SAY_PACE, 1, SLOW_DOWN, _SLOW_DOWN_SECONDS if slow else 0, _SLOW_DOWN_KEPT_SECONDS)

    def _alarm(self, what: str, sentence: str, consequence: str) -> None:
        now = time.monotonic()
        if not sentence:
            if self._said_at.pop(what, None) is not None:
                log.warning("There is room again", next="it goes on")
        elif now - self._said_at.get(what, -_SAID_EVERY_SECONDS) >= _SAID_EVERY_SECONDS:
            self._said_at[what] = now
            log.error("There is little room left", error=sentence, next=consequence)

    def _break(self) -> None:
        minutes = self._tally.window(self._config.breaker_minutes)
        resumed = lanes.resumed(self._client)
        for lane in self._config.lane_list:
            why = verdict(minutes, lane.name, self._config, resumed=resumed.get(lane.name, -1))
            if why and lanes.pause(self._client, lane.name, Pause(self._name, time.time(), why, by="breaker")):
                log.error("The circuit breaker pauses a lane", lane=lane.name, error=why,
                          next=f"its documents wait; when the cause is gone: copydesk lane resume {lane.name}")  # fmt: skip
