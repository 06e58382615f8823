"""The dispatcher: a thread in each worker's main process that sends new entries of the lanes as claim checks.

With a long backlog it sends full batches (throughput), with a short one whatever is there (latency). It stops at a cap
of pending entries, so Celery's queue stays short. It also dispatches entries again whose lease expired.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from celery import bootsteps
from celery.worker import state as celery_state
from kombu.exceptions import InconsistencyError, OperationalError
from sqlalchemy.exc import SQLAlchemyError

from worker.jobs.reenrichment import is_work_left
from worker.queue.connection import connect
from worker.queue.lane_pauses import Pause, paused
from worker.queue.lease_queue import LeaseQueue
from worker.queue.server_functions import load_functions
from worker.runtime.broker.transport import repair_keys
from worker.runtime.dispatch.request import troubles
from worker.runtime.dispatch.schedule import BatchDelay, PollInterval, lane_quotas
from worker.runtime.supervision.outage import Outage, StoreWatch
from worker.settings import INTERNAL_LANE, Lane, Settings, settings
from worker.store.engine import driver_error, make_engine
from worker.store.receipts import highest_id
from worker.telemetry.failpoints import failpoint
from worker.telemetry.logs import get_logger

log = get_logger("dispatch")

_HELD_SECONDS = 0.1  # between steps while nothing may be dispatched
_PAUSES_EVERY_SECONDS = 1.0
_REAP_EVERY_SECONDS = 1.0
_SMALLER_AFTER_A_DEATH = 10
_QUEUED_CAPS = 4  # times the claim checks of full batches at the pending cap; above it the reaper waits
_FORGET_EVERY_SECONDS = 600.0
_MAINTAIN_EVERY_SECONDS = 300.0  # how often the task is sent; one worker of all runs it, once an hour
_COMPLETE_EVERY_SECONDS = 5.0
_UNREACHABLE = (redis.RedisError, OperationalError, OSError)


class Dispatcher(bootsteps.StartStopStep):
    """Celery bootstep: starts the dispatcher with the worker and stops it before the pool stops."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        parent.copydesk_dispatcher = self
        self.loop: DispatchLoop | None = None

    def start(self, parent: Any) -> None:
        if self.loop is not None:
            self.loop.abandon()
        tasks = parent.app.tasks
        self.loop = DispatchLoop(
            settings(),
            tasks["copydesk.ingest"],
            tasks["copydesk.maintain"],
            tasks["copydesk.complete"],
            is_behind=lambda: len(celery_state.active_requests) >= parent.concurrency,
        )
        self.loop.start()

    def stop(self, parent: Any) -> None:
        if self.loop is not None:
            self.loop.stop()

    terminate = stop


class DispatchLoop(threading.Thread):
    """Dispatches entries of all lanes by weight until stopped.

    `is_behind`: whether all pool processes of this worker are busy.
    """

    def __init__(
        self,
        config: Settings,
        ingest: Any,
        maintain: Any,
        complete: Any,
        *,
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(name="copydesk-dispatcher", daemon=True)
        self._config = config
        self._ingest = ingest
        self._maintain = maintain
        self._complete = complete
        self._is_behind = is_behind
        self._next_completion = time.monotonic() + _COMPLETE_EVERY_SECONDS
        self._next_maintenance = time.monotonic() + _MAINTAIN_EVERY_SECONDS
        self._client = connect(config.redis)
        self._engine = make_engine(config, pooled=False)
        self._lanes = [
            (lane, LeaseQueue(self._client, lane.name)) for lane in (*config.lane_list, Lane(INTERNAL_LANE, 1))
        ]
        self._busy: set[str] = set()
        self._batch_delay = BatchDelay()
        self._ended = threading.Event()
        self._store = StoreWatch(self._engine)
        self._redis = Outage("Redis")
        self.full = ""
        """Why no documents may be dispatched, as a sentence; set by `SupervisionLoop`. Empty: they may."""
        self._paused: dict[str, Pause] = {}
        self._next_pauses = 0.0
        self._prepared = False
        self._poll_interval = PollInterval(config.poll_seconds)
        self._state, self._reason = "starting", ""
        self._last_round: float | None = None
        self._last_step = time.monotonic()
        self._next_reap = 0.0
        self._next_forget = time.monotonic() + _FORGET_EVERY_SECONDS

    def condition(self) -> tuple[str, str, float | None]:
        """Return (state, its reason as a sentence, time.time() of the last step). See `heartbeats.WorkerState`."""
        return self._state, self._reason, self._last_round

    def stop(self) -> None:
        """Stop dispatching; returns when the thread has ended, after 10 seconds at most."""
        self._ended.set()
        self.join(timeout=10)

    @property
    def last_step(self) -> float:
        """time.monotonic() of the last step."""
        return self._last_step

    def abandon(self) -> None:
        """Make the thread stop without waiting for it, because it hangs and another one replaces it."""
        self._ended.set()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                wait = self._step()
            except _UNREACHABLE as error:
                self._redis.record_failure(str(error))
                self._prepared = False
                self._is("waiting-for-redis", self._redis.reason)
                wait = 1.0
            except Exception:
                # A bug must not end this thread: nothing would be dispatched any more.
                log.exception("The dispatcher failed", next="trying again in a second")
                wait = 1.0
            self._ended.wait(wait)

    def _step(self) -> float:
        """Do what is due; return the seconds to wait before the next step. Raises the errors in `_UNREACHABLE`."""
        if not self._prepared and not self._store.waits:
            self._prepare()
            self._prepared = not self._store.waits
            self._redis.record_recovery()
        while not troubles.empty():
            trouble = troubles.get()
            self._store.failed(trouble.error, at=trouble.at, waiting=self._waiting)
        self._store.look(waiting=self._waiting)
        if self._store.waits:
            self._is("waiting-for-store", self._store.outage.reason)
            return _HELD_SECONDS
        if self.full:
            self._is("full", self.full)
            return _HELD_SECONDS
        now = time.monotonic()
        if now >= self._next_pauses:
            self._next_pauses = now + _PAUSES_EVERY_SECONDS
            self._paused = paused(self._client)
        handed_out = self._round()
        held = [lane.name for lane in self._config.lane_list if lane.name in self._paused]
        if len(held) == len(self._config.lane_list):
            self._is("paused", f"{', '.join(held)}: {self._paused[held[0]].why}")
        else:
            self._is("consuming", f"paused: {', '.join(held)}" if held else "")
        return self._poll_interval.wait(handed_out, is_behind=bool(self._busy))

    def _is(self, state: str, reason: str) -> None:
        self._state, self._reason, self._last_round = state, reason, time.time()
        self._last_step = time.monotonic()

    def _waiting(self) -> int:
        """Return the number of documents on all lanes, for a log line; 0 when Redis does not answer."""
        try:
            return sum(queue.counts()[1] for _, queue in self._lanes)
        except redis.RedisError:
            return 0

    def _prepare(self) -> None:
        repair_keys(self._client)
        load_functions(self._client)
        for _, queue in self._lanes:
            queue.ensure()
        try:
            with self._engine.connect() as connection:
                highest = {queue.lane: highest_id(connection, queue.lane) for _, queue in self._lanes}
        except SQLAlchemyError as error:
            self._store.failed(str(driver_error(error)), waiting=self._waiting)
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
        """Dispatch from every lane and run what is due; return how many entries were sent."""
        config = self._config
        lanes = [(lane, queue) for lane, queue in self._lanes if lane.name not in self._paused]
        caps = lane_quotas((lane for lane, _ in lanes), self._busy, config.pending_cap, config.batch_documents)
        handed_out = sum(self._turn(lane, queue, caps[lane.name]) for lane, queue in lanes)
        now = time.monotonic()
        if now >= self._next_reap:
            self._next_reap = now + _REAP_EVERY_SECONDS
            handed_out += sum(self._reap(lane, queue) for lane, queue in lanes)
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
        """Send the enrichment task while work is left.

        The work is recorded in the store, so a lost message is harmless.
        """
        try:
            if is_work_left(self._engine):
                self._complete.apply_async(retry=False, expires=_COMPLETE_EVERY_SECONDS)
        except SQLAlchemyError:
            return  # the tasks log it, and the next round tries again

    def _turn(self, lane: Lane, queue: LeaseQueue, pending_cap: int) -> int:
        config, count = self._config, 0
        for _ in range(lane.weight):
            delay = self._batch_delay.wait_for(lane.name, self._is_behind)
            dispatched = queue.dispatch(
                limit=config.batch_documents, pending_cap=pending_cap, max_bytes=config.batch_bytes, wait_for=delay
            )
            ids = [id_ for id_, _ in dispatched.entries]
            if ids:
                failpoint("dispatch.read")
                self._send(lane, ids)
                failpoint("dispatch.sent")
                count += len(ids)
            if dispatched.backlog > dispatched.pending + len(ids):
                self._busy.add(lane.name)
            else:
                self._busy.discard(lane.name)
            if len(ids) < config.batch_documents:
                if ids:
                    self._batch_delay.sent_small(lane.name)
                break
        return count

    def _reap(self, lane: Lane, queue: LeaseQueue) -> int:
        renewed = queue.renew_leases_after_clock_step()
        if renewed:
            log.warning(
                "The clock of Redis went back", lane=lane.name, documents=renewed, next="their leases begin anew"
            )
        lease, cap, batch = self._config.lease_seconds, self._config.pending_cap, self._config.batch_documents
        queued: Any = self._client.llen(self._ingest.app.conf.task_default_queue)
        if queued * batch >= _QUEUED_CAPS * cap:
            # The pool takes claim checks too slowly for the lease. More and smaller ones would make it worse.
            return 0
        returned = queue.reap(lease_seconds=lease, limit=cap, whole=True)
        found = queue.reap(lease_seconds=lease, limit=cap)
        if found or returned:
            failpoint("reap.taken")
        self._send_again(lane, returned, batch)
        # In small batches: a batch that was too slow for its time limit would fail again at its old size, forever.
        self._send_again(lane, found, max(1, batch // _SMALLER_AFTER_A_DEATH))
        if found or returned:
            failpoint("reap.sent")
        return len(found) + len(returned)

    def _send_again(self, lane: Lane, found: list[tuple[str, int]], size: int) -> None:
        """Re-send in batches of `size`.

        Entries that were being read during a crash are sent alone, so only the faulty one uses up its attempts.

        `found`: (id, attempts so far).
        """
        uncounted = [id_ for id_, attempts in found if attempts == 0]
        for start in range(0, len(uncounted), size):
            self._send(lane, uncounted[start : start + size])
        for id_, attempts in found:
            if attempts:
                log.warning("A document is tried again, alone", id=id_, lane=lane.name, attempt=attempts + 1)
                self._send(lane, [id_])

    def _send(self, lane: Lane, ids: list[str]) -> None:
        try:
            self._ingest.apply_async((lane.name, ids), retry=False)
        except InconsistencyError:
            # The queue's binding was deleted. Kombu writes it only when it connects, so it is declared again here.
            with self._ingest.app.connection_for_write() as connection:
                self._ingest.app.amqp.queues[self._ingest.app.conf.task_default_queue](
                    connection.default_channel
                ).declare()
            self._ingest.apply_async((lane.name, ids), retry=False)
