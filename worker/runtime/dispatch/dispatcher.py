"""The dispatcher: a thread in each worker's main process that sends new entries of the lanes as claim checks.

With a long backlog it sends full batches (throughput), with a short one whatever is there (latency). It stops at a cap
of pending entries, so Celery's queue stays short. It also dispatches entries again whose lease expired.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import redis
from celery import Celery, bootsteps
from celery.worker import state as celery_state
from kombu.exceptions import OperationalError
from sqlalchemy.exc import SQLAlchemyError

from worker.monitoring.servers.capacity import capacity
from worker.queue.connection_faults import connection_fault
from worker.queue.lane_watch import LaneWatch
from worker.queue.lease_queue import LeaseQueue
from worker.queue.pauses.lane_pauses import Pause, paused
from worker.queue.replies import is_wrong_type
from worker.queue.server_functions import load_functions
from worker.runtime.broker.key_repair import repair_keys
from worker.runtime.controller import Controller
from worker.runtime.dispatch.key_check import KeyCheck
from worker.runtime.dispatch.reaper import Reaper
from worker.runtime.dispatch.request import troubles
from worker.runtime.dispatch.schedule import BatchDelay, PollWait, lane_quotas, poll_wait
from worker.runtime.dispatch.sender import BackgroundTasks, ClaimCheckSender
from worker.runtime.supervision.outage import Outage, StoreWatch
from worker.settings import INTERNAL_LANE, Lane, Settings, settings
from worker.store.engine import driver_error, make_engine
from worker.store.receipts import highest_id
from worker.telemetry.failpoints import failpoint
from worker.telemetry.logs import get_logger

log = get_logger("dispatch")

_BLOCKED = PollWait(0.1, 0.1)  # between steps while nothing may be dispatched
_AFTER_A_FAILURE = PollWait(1.0, 1.0)
_PAUSES_EVERY_SECONDS = 1.0
_KEYS_EVERY_SECONDS = 1.0
_REAP_EVERY_SECONDS = 1.0
_FORGET_EVERY_SECONDS = 600.0
_UNREACHABLE = (redis.RedisError, OperationalError, OSError)


class Dispatcher(bootsteps.StartStopStep):
    """Celery bootstep: starts the dispatcher with the worker and stops it before the pool stops."""

    requires = ("celery.worker.components:Pool",)

    loop: DispatchLoop | None = None

    def start(self, parent: Controller) -> None:
        if self.loop is not None:
            self.loop.abandon()
        self.loop = DispatchLoop(
            settings(), parent.app, is_behind=lambda: len(celery_state.active_requests) >= parent.concurrency
        )
        self.loop.start()

    def stop(self, parent: Controller) -> None:
        if self.loop is not None:
            self.loop.stop()

    terminate = stop


class DispatchLoop(threading.Thread):
    """Dispatches entries of all lanes by weight until stopped.

    `is_behind`: whether all pool processes of this worker are busy.
    """

    def __init__(self, config: Settings, app: Celery, *, is_behind: Callable[[], bool] = lambda: False) -> None:
        super().__init__(name="copydesk-dispatcher", daemon=True)
        self._config = config
        self._is_behind = is_behind
        self._watch = LaneWatch(config.redis)
        self._client = self._watch.client
        self._engine = make_engine(config, pooled=False)
        self._sender = ClaimCheckSender(app, self._client)
        self._reaper = Reaper(config, self._sender)
        self._background = BackgroundTasks(app, self._engine)
        self._all_lanes = [
            (lane, LeaseQueue(self._client, lane.name)) for lane in (*config.lane_list, Lane(INTERNAL_LANE, 1))
        ]
        self._keys = KeyCheck(self._client, [lane.name for lane, _ in self._all_lanes])
        self._next_key_check = 0.0
        self._busy: set[str] = set()
        self._batch_delay = BatchDelay()
        self._ended = threading.Event()
        self._store = StoreWatch(self._engine)
        self._redis = Outage("Redis")
        self.blocked = ""
        """Why no documents may be dispatched, as a sentence; `SupervisionLoop` keeps it up to date. Empty: they may."""
        self._paused: dict[str, Pause] = {}
        self._next_pauses = 0.0
        self._is_redis_ready = self._are_ids_compared = False
        self._state, self._reason = "starting", ""
        self._last_round: float | None = None
        self._last_step = time.monotonic()
        self._next_reap = 0.0
        self._next_forget = time.monotonic() + _FORGET_EVERY_SECONDS

    def condition(self) -> tuple[str, str, float | None]:
        """Return (state, its reason as a sentence, time.monotonic() of the last step). See `heartbeats.WorkerState`."""
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

    def report_silent_redis(self, error: Exception) -> None:
        """Log that Redis does not answer. Called by another thread, because this one may wait longer for its own answer."""
        self._redis.record_failure(connection_fault(self._config.redis, error).cause)
        self._is_redis_ready = False  # so that the next step that reaches Redis logs the end of the outage

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                wait = self._step()
            except _UNREACHABLE as error:
                wait = self._after_redis_error(error)
            except Exception:
                # A bug must not end this thread: nothing would be dispatched any more.
                log.exception("The dispatcher failed", next="it continues in a second")
                wait = _AFTER_A_FAILURE
            if not self._ended.wait(wait.at_least):
                self._watch.wait(wait.at_most - wait.at_least)
        self._watch.close()

    @property
    def _lanes(self) -> list[tuple[Lane, LeaseQueue]]:
        """The lanes to which commands may be sent."""
        return [(lane, queue) for lane, queue in self._all_lanes if lane.name not in self._keys.blocked]

    def _after_redis_error(self, error: Exception) -> PollWait:
        """Prepare Redis again at the next step; return how long to wait before it."""
        was_ready = self._is_redis_ready
        self._is_redis_ready = self._are_ids_compared = False
        self._next_key_check = 0.0
        if is_wrong_type(error) and was_ready:
            # Redis works. The next step finds the key, and renames it or leaves its lane out.
            return _BLOCKED
        self._redis.record_failure(connection_fault(self._config.redis, error).cause)
        self._set_condition("waiting-for-redis", self._redis.reason)
        return _AFTER_A_FAILURE

    def _step(self) -> PollWait:
        """Do what is due; return how long to wait before the next step. Raises the errors in `_UNREACHABLE`."""
        is_prepared = self._prepare_if_needed()
        wait = self._dispatch_if_possible()
        if is_prepared:
            self._is_redis_ready = True
            self._redis.record_recovery()
        return wait

    def _dispatch_if_possible(self) -> PollWait:
        """Watch the store and dispatch entries unless it, or memory, is lacking; return how long to wait then."""
        if not self._are_ids_compared and not self._store.waits:
            self._advance_ids()
            self._are_ids_compared = not self._store.waits
        while not troubles.empty():
            trouble = troubles.get()
            self._store.record_failure(trouble.error, at=trouble.at, waiting=self._waiting)
        self._store.probe_if_due(waiting=self._waiting)
        if self._store.waits:
            self._set_condition("waiting-for-store", self._store.outage.reason)
            return _BLOCKED
        if self.blocked:
            self._set_condition("full", self.blocked)
            return _BLOCKED
        now = time.monotonic()
        if now >= self._next_pauses:
            self._next_pauses = now + _PAUSES_EVERY_SECONDS
            self._paused = paused(self._client)
        self._watch.start()
        self._dispatch_round()
        paused_lanes = [lane.name for lane in self._config.lane_list if lane.name in self._paused]
        if len(paused_lanes) == len(self._config.lane_list):
            self._set_condition("paused", f"{', '.join(paused_lanes)}: {self._paused[paused_lanes[0]].why}")
        else:
            self._set_condition("consuming", f"paused: {', '.join(paused_lanes)}" if paused_lanes else "")
        return poll_wait(self._config.poll_seconds, is_behind=bool(self._busy), is_watching=self._watch.is_active)

    def _prepare_if_needed(self) -> bool:
        """Check the types of the keys if that is due, and prepare Redis if it is not ready; return whether it was prepared.

        Redis is ready after a whole step without an error, until an error, or until other lanes can be used.
        """
        now = time.monotonic()
        if now >= self._next_key_check:
            self._next_key_check = now + _KEYS_EVERY_SECONDS
            if self._keys.check():
                self._is_redis_ready = self._are_ids_compared = False
        if self._is_redis_ready:
            return False
        self._prepare_redis()
        return True

    def _set_condition(self, state: str, reason: str) -> None:
        self._state, self._reason = state, reason
        self._last_round = self._last_step = time.monotonic()

    def _waiting(self) -> int:
        """Return the number of documents on all lanes, for a log line; 0 when Redis does not answer."""
        try:
            return sum(queue.counts().backlog for _, queue in self._lanes)
        except redis.RedisError:
            return 0

    def _prepare_redis(self) -> None:
        repair_keys(self._client)
        load_functions(self._client)
        for _, queue in self._lanes:
            queue.ensure()
        # Before the first dispatch: `SupervisionLoop` starts later.
        self.blocked = capacity(self._config, self._client).full

    def _advance_ids(self) -> None:
        """Raise the last id of each lane to the highest one in the store, in case Redis lost data."""
        try:
            with self._engine.connect() as connection:
                highest = {queue.lane: highest_id(connection, queue.lane) for _, queue in self._lanes}
        except SQLAlchemyError as error:
            self._store.record_failure(str(driver_error(error)), waiting=self._waiting)
            return
        for _, queue in self._lanes:
            id_ = highest[queue.lane]
            if id_ is not None and queue.advance(id_):
                log.warning(
                    "The last id of the lane was behind the store",
                    lane=queue.lane,
                    id=id_,
                    next="it is raised, so that no id is used twice",
                )

    def _dispatch_round(self) -> None:
        """Dispatch from every lane and run what is due."""
        config = self._config
        lanes = [(lane, queue) for lane, queue in self._lanes if lane.name not in self._paused]
        caps = lane_quotas((lane for lane, _ in lanes), self._busy, config.pending_cap, config.batch_documents)
        for lane, queue in lanes:
            self._dispatch_lane(lane, queue, caps[lane.name])
        now = time.monotonic()
        if now >= self._next_reap:
            self._next_reap = now + _REAP_EVERY_SECONDS
            for lane, queue in self._lanes:
                self._reaper.reap(queue, is_paused=lane.name in self._paused)
        if now >= self._next_forget:
            self._next_forget = now + _FORGET_EVERY_SECONDS
            for _, queue in self._lanes:
                queue.forget_idle_workers()
        self._background.send_due()

    def _dispatch_lane(self, lane: Lane, queue: LeaseQueue, pending_cap: int) -> None:
        config = self._config
        for _ in range(lane.weight):
            delay = self._batch_delay.batch_size_to_wait_for(lane.name, self._is_behind)
            dispatched = queue.dispatch(
                limit=config.batch_documents, pending_cap=pending_cap, max_bytes=config.batch_bytes, wait_for=delay
            )
            ids = [id_ for id_, _ in dispatched.entries]
            if ids:
                failpoint("dispatch.read")
                self._sender.send(lane.name, ids)
                failpoint("dispatch.sent")
            if dispatched.backlog > dispatched.pending + len(ids):
                self._busy.add(lane.name)
            else:
                self._busy.discard(lane.name)
            if len(ids) < config.batch_documents:
                if ids:
                    self._batch_delay.record_small_batch(lane.name)
                break
