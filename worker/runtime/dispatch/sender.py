"""Sends claim checks, and the tasks that run beside them, to Celery's queue."""

from __future__ import annotations

import time

import redis
from celery import Celery
from kombu.exceptions import InconsistencyError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from worker.jobs.reenrichment import is_work_left

_MAINTAIN_EVERY_SECONDS = 300.0  # how often the task is sent; one worker of all runs it, once an hour
_REENRICH_EVERY_SECONDS = 5.0
_ROLL_UP_EVERY_SECONDS = 30.0  # the same: one worker of all runs it


class ClaimCheckSender:
    """Sends lists of entry ids to the pool. Raises kombu's OperationalError and redis.RedisError."""

    def __init__(self, app: Celery, client: redis.Redis) -> None:
        self._app = app
        self._client = client
        self._ingest = app.tasks["copydesk.ingest"]

    def send(self, lane: str, ids: list[str]) -> None:
        try:
            self._ingest.apply_async((lane, ids), retry=False)
        except InconsistencyError:
            # The queue's binding was deleted. Kombu writes it only when it connects, so it is declared again here.
            with self._app.connection_for_write() as connection:
                self._app.amqp.queues[self._app.conf.task_default_queue](connection.default_channel).declare()
            self._ingest.apply_async((lane, ids), retry=False)

    def queued(self) -> int:
        """Return how many claim checks wait in Celery's queue."""
        return self._client.llen(self._app.conf.task_default_queue)


class BackgroundTasks:
    """Sends the tasks that maintain the store when they are due. A lost message is harmless: the next one follows."""

    def __init__(self, app: Celery, engine: Engine) -> None:
        self._maintain, self._reenrich = app.tasks["copydesk.maintain"], app.tasks["copydesk.complete"]
        self._roll_up = app.tasks["copydesk.roll_up"]
        self._engine = engine
        self._next_roll_up = time.monotonic() + _ROLL_UP_EVERY_SECONDS / 2
        self._next_maintenance = time.monotonic() + _MAINTAIN_EVERY_SECONDS
        self._next_reenrichment = time.monotonic() + _REENRICH_EVERY_SECONDS

    def send_due(self) -> None:
        now = time.monotonic()
        if now >= self._next_maintenance:
            self._next_maintenance = now + _MAINTAIN_EVERY_SECONDS
            self._maintain.apply_async(retry=False)
        if now >= self._next_roll_up:
            self._next_roll_up = now + _ROLL_UP_EVERY_SECONDS
            self._roll_up.apply_async(retry=False, expires=_ROLL_UP_EVERY_SECONDS)
        if now >= self._next_reenrichment:
            self._next_reenrichment = now + _REENRICH_EVERY_SECONDS
            self._send_reenrichment()

    def _send_reenrichment(self) -> None:
        try:
            if is_work_left(self._engine):
                self._reenrich.apply_async(retry=False, expires=_REENRICH_EVERY_SECONDS)
        except SQLAlchemyError:
            return  # the tasks log it, and the next round tries again
