"""The dispatcher: a thread in each worker's main process that turns new entries of the lanes into claim checks.

It hands out whole batches when the backlog is long (throughput) and whatever is there when it is short (latency), and
stops while enough is pending, so that Celery's queue stays short. It also takes back entries whose lease ran out.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import redis
from celery import bootsteps
from kombu.exceptions import OperationalError
from sqlalchemy.exc import SQLAlchemyError

from worker.intake.connect import connect
from worker.intake.stream import LeaseQueue
from worker.observe.logs import get_logger
from worker.operate.complete import is_work_left
from worker.runtime.transport import mend_keys
from worker.settings import INTERNAL_LANE, Lane, Settings, settings
from worker.store.engine import make_engine
from worker.store.read import highest_id

log = get_logger("dispatch")

_LONGEST_IDLE_SECONDS = 0.02
_REAP_EVERY_SECONDS = 1.0
_FORGET_EVERY_SECONDS = 600.0
_MAINTAIN_EVERY_SECONDS = 3600.0
_COMPLETE_EVERY_SECONDS = 5.0
_UNREACHABLE = (redis.RedisError, OperationalError, OSError)


class Dispatcher(bootsteps.StartStopStep):
    """Celery's hook: starts the thread with the worker and ends it before the pool stops."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self.loop: DispatchLoop | None = None

    def start(self, parent: Any) -> None:
        tasks = parent.app.tasks
        self.loop = DispatchLoop(
            settings(), tasks["copydesk.ingest"], tasks["copydesk.maintain"], tasks["copydesk.complete"]
        )
        self.loop.start()

    def stop(self, parent: Any) -> None:
        if self.loop is not None:
            self.loop.stop()

    terminate = stop


class DispatchLoop(threading.Thread):
    """Serves all lanes in weighted turns until stopped."""

    def __init__(self, config: Settings, ingest: Any, maintain: Any, complete: Any) -> None:
        super().__init__(name="copydesk-dispatcher", daemon=True)
        self._config = config
        self._ingest = ingest
        self._maintain = maintain
        self._complete = complete
        self._next_completion = time.monotonic() + _COMPLETE_EVERY_SECONDS
        self._next_maintenance = time.monotonic() + _MAINTAIN_EVERY_SECONDS
        self._client = connect(config.redis)
        self._engine = make_engine(config, pooled=False)
        self._lanes = [
            (lane, LeaseQueue(self._client, lane.name)) for lane in (*config.lane_list, Lane(INTERNAL_LANE, 1))
        ]
        self._ended = threading.Event()
        self._next_reap = 0.0
        self._next_forget = time.monotonic() + _FORGET_EVERY_SECONDS

    def stop(self) -> None:
        """Hand out nothing more; returns when the thread has ended."""
        self._ended.set()
        self.join(timeout=10)

    def run(self) -> None:
        trouble_since: float | None = None
        idle = self._config.poll_seconds
        prepared = False
        while not self._ended.is_set():
            try:
                if not prepared:
                    self._prepare()
                    prepared = True
                if trouble_since is not None:
                    log.info(
                        "Redis answers again, dispatching goes on", ms=round((time.monotonic() - trouble_since) * 1000)
                    )
                    trouble_since = None
                handed_out = self._round()
            except _UNREACHABLE as error:
                if trouble_since is None:
                    trouble_since = time.monotonic()
                    log.exception(
                        "Redis cannot be used, nothing is dispatched", error=str(error), next="trying each second"
                    )
                prepared = False
                self._ended.wait(1.0)
                continue
            except Exception:
                # A bug must not end the thread that everything waits for.
                log.exception("The dispatcher failed", next="trying again in a second")
                self._ended.wait(1.0)
                continue
            idle = self._config.poll_seconds if handed_out else min(idle * 1.5, _LONGEST_IDLE_SECONDS)
            self._ended.wait(idle)

    def _prepare(self) -> None:
        mend_keys(self._client)
        for _, queue in self._lanes:
            queue.ensure()
        try:
            with self._engine.connect() as connection:
                highest = {queue.lane: highest_id(connection, queue.lane) for _, queue in self._lanes}
        except SQLAlchemyError as error:
            log.warning("The store cannot be asked for the highest ids", error=str(getattr(error, "orig", error)),
                        next="dispatching goes on; should an id come again, its entry is added anew")  # fmt: skip
            return
        for _, queue in self._lanes:
            id_ = highest[queue.lane]
            if id_ is not None and queue.advance(id_):
                log.warning(
                    "The lane had lost ids that the store knows",
                    lane=queue.lane,
                    id=id_,
                    next="new entries come after it",
                )

    def _round(self) -> int:
        """One turn of every lane; returns how many entries were handed out."""
        handed_out = sum(self._turn(lane, queue) for lane, queue in self._lanes)
        now = time.monotonic()
        if now >= self._next_reap:
            self._next_reap = now + _REAP_EVERY_SECONDS
            handed_out += sum(self._reap(lane, queue) for lane, queue in self._lanes)
        if now >= self._next_forget:
            self._next_forget = now + _FORGET_EVERY_SECONDS
            for _, queue in self._lanes:
                queue.forget_idle_workers()
        if now >= self._next_maintenance:
            self._next_maintenance = now + _MAINTAIN_EVERY_SECONDS
            self._maintain.apply_async(retry=False)
        if now >= self._next_completion:
            self._next_completion = now + _COMPLETE_EVERY_SECONDS
            self._poke_completion()
        return handed_out

    def _poke_completion(self) -> None:
        """The store holds what is left to enrich; a message is only a poke, and a lost one is followed by the next."""
        try:
            if is_work_left(self._engine):
                self._complete.apply_async(retry=False, expires=_COMPLETE_EVERY_SECONDS)
        except SQLAlchemyError:
            return  # the tasks say it, and the next turn asks again

    def _turn(self, lane: Lane, queue: LeaseQueue) -> int:
        config, count = self._config, 0
        for _ in range(lane.weight):
            dispatched = queue.dispatch(
                most=config.batch_documents, pending_cap=config.pending_cap, most_bytes=config.batch_bytes
            )
            ids = [id_ for id_, _ in dispatched.entries]
            if ids:
                self._send(lane, ids)
                count += len(ids)
            if len(ids) < config.batch_documents:
                break
        return count

    def _reap(self, lane: Lane, queue: LeaseQueue) -> int:
        found = queue.reap(lease_seconds=self._config.lease_seconds)
        # One that was there when a process died goes alone, so that only the guilty one is tried to death.
        innocent = [id_ for id_, attempts in found if attempts == 0]
        for start in range(0, len(innocent), self._config.batch_documents):
            self._send(lane, innocent[start : start + self._config.batch_documents])
        for id_, attempts in found:
            if attempts:
                log.warning("A document is tried again, alone", id=id_, lane=lane.name, attempt=attempts + 1)
                self._send(lane, [id_])
        return len(found)

    def _send(self, lane: Lane, ids: list[str]) -> None:
        self._ingest.apply_async((lane.name, ids), retry=False)
