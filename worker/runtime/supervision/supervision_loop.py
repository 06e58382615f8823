"""The supervision thread of each worker's main process: heartbeats, crash records, watchdog and admission control.

It is separate from the dispatcher, so it also reports when the dispatcher hangs.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import threading
import time
from importlib import metadata
from queue import Empty

import redis
from celery import bootsteps
from celery.worker import state as celery_state

from worker.activity import heartbeats
from worker.activity.heartbeats import HEARTBEAT_SECONDS, PoolProcess, WorkerState
from worker.activity.minute_counters import Counts, MinuteCounters
from worker.activity.stop_requests import take_stop_request
from worker.queue.clock import server_time
from worker.queue.connection import connect
from worker.queue.crashes import CrashReport
from worker.queue.lease_queue import LeaseQueue
from worker.runtime.controller import Controller, Hub, pool_pids
from worker.runtime.dispatch.dispatcher import Dispatcher
from worker.runtime.dispatch.request import Loss, losses, wait_for_end
from worker.runtime.supervision.admission_control import AdmissionControl
from worker.runtime.supervision.lost_process import record_loss
from worker.runtime.supervision.recovery import StuckChildren, give_back, restart_consumer, restart_process
from worker.runtime.supervision.restarter import stop_worker
from worker.runtime.supervision.watchdog import Observation, Remedy, Watchdog
from worker.settings import Settings, settings
from worker.telemetry.logs import get_logger

log = get_logger("worker")

_LOSS_POLL_SECONDS = 0.2
_LOOP_TIMER_SECONDS = 0.2
_LOGGED_IDS = 10
_ANSWER_SECONDS = 3.0
"""How long Redis may take to tell its time. All other commands wait longer, and some are repeated, up to half a minute."""


class Supervision(bootsteps.StartStopStep):
    """Celery bootstep: the supervision thread starts after the dispatcher and stops before it."""

    requires = (Dispatcher,)
    loop: SupervisionLoop | None = None

    def register_with_event_loop(self, parent: Controller, hub: Hub) -> None:
        """Record regularly that the event loop runs.

        Without a timer the loop would also notice SIGTERM only once a second.
        """
        hub.call_repeatedly(_LOOP_TIMER_SECONDS, self._record_loop_run)

    def _record_loop_run(self) -> None:
        if self.loop is not None:
            self.loop.loop_ran_at = time.monotonic()

    def start(self, parent: Controller) -> None:
        dispatcher = next(step for step in parent.steps if isinstance(step, Dispatcher))
        self.loop = SupervisionLoop(settings(), parent, dispatcher)
        self.loop.start()

    def stop(self, parent: Controller) -> None:
        if self.loop is not None:
            self.loop.stop()
            # The pool stops after this; a cold stop kills its batches.
            atexit.register(give_back, settings(), os.getpid(), self.loop.held_by())

    terminate = stop


class SupervisionLoop(threading.Thread):
    """Sends a heartbeat every two seconds until stopped."""

    def __init__(self, config: Settings, controller: Controller, dispatcher: Dispatcher) -> None:
        super().__init__(name="copydesk-supervision", daemon=True)
        self._controller = controller
        self._dispatcher = dispatcher
        self._config = config
        self._client = connect(config.redis, retries=0)
        self._pinging = connect(config.redis, retries=0, socket_timeout=_ANSWER_SECONDS)
        self._counters = MinuteCounters(self._client)
        self._queues = [LeaseQueue(self._client, lane.name) for lane in config.lane_list]
        self._ended = threading.Event()
        self._last_pool: tuple[PoolProcess, ...] = ()
        self._watchdog = Watchdog(config.watchdog_seconds)
        self._stuck = StuckChildren(config.watchdog_seconds)
        self.loop_ran_at = time.monotonic()
        """time.monotonic() at which Celery's event loop last ran its timer."""
        host = socket.gethostname()
        self._started_at = self._changed_at = time.monotonic()
        self._worker = WorkerState(
            name=f"{host}:{os.getpid()}",
            host=host,
            pid=os.getpid(),
            version=metadata.version("copydesk"),
            started=0.0,
            lanes=tuple(lane.name for lane in config.lane_list),
            concurrency=controller.concurrency,
        )
        self._admission = AdmissionControl(config, self._client, self._worker.name)

    def stop(self) -> None:
        """Remove this worker's heartbeat; returns when the thread has ended, after 10 seconds at most."""
        self._ended.set()
        losses.put(None)  # wakes the thread
        self.join(timeout=10)

    def held_by(self) -> list[str]:
        """Return the names under which this worker's pool processes hold entries."""
        return [f"{self._worker.host}:{process.pid}" for process in self._last_pool]

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._update_state(self._server_time())
                self._send_heartbeat()
                self._stop_if_asked()
                self._restart_what_hangs()
            except redis.RedisError:
                pass  # the dispatcher logs the outage; other workers see the missing heartbeats
            except Exception:
                log.exception("The supervision thread failed", next="it continues in two seconds")
            self._wait()
        try:
            heartbeats.leave(self._client, self._worker.name)
        except redis.RedisError:
            return

    def _server_time(self) -> float:
        """Return Redis's time, in seconds since 1970.

        Reports a Redis that accepts commands and does not answer, soon after it stopped answering. Raises redis.RedisError.
        """
        try:
            return server_time(self._pinging)
        except redis.TimeoutError as error:
            if self._dispatcher.loop is not None:
                self._dispatcher.loop.report_silent_redis(error)
            raise

    def _stop_if_asked(self) -> None:
        """Stop this worker after its running batches if an operator asked for it."""
        who = take_stop_request(self._client, self._worker.name)
        if who is not None:
            log.warning("The worker is asked to stop", who=who, next="it finishes its running batches and ends")
            stop_worker()

    def _restart_what_hangs(self) -> None:
        """Restart what hangs. Called only while Redis answers; otherwise the outage is the cause."""
        self._stuck.end(self._controller)
        loop = self._dispatcher.loop
        if loop is None:
            return
        queued = self._client.llen(self._controller.app.conf.task_default_queue)
        observation = Observation(
            now=time.monotonic(),
            dispatcher_alive=loop.is_alive(),
            dispatcher_step=loop.last_step,
            loop_ran_at=self.loop_ran_at,
            consuming=self._worker.is_consuming,
            queued=queued,
            received=celery_state.all_total_count[0],
            busy=len(celery_state.active_requests),
        )
        decision = self._watchdog.decide(observation)
        if decision is not None:
            remedy, why = decision
            self._counters.restarted(str(remedy))
            log.error("The worker is stuck", error=why, next=f"its {remedy} is restarted")
            if remedy is Remedy.DISPATCHER:
                self._dispatcher.start(self._controller)
            elif remedy is Remedy.CONSUMER:
                restart_consumer(self._controller)
            else:
                restart_process(self._controller)

    def _wait(self) -> None:
        """Wait until the next heartbeat is due: at once when the dispatcher's state changes.

        Record crashes meanwhile.
        """
        until = time.monotonic() + HEARTBEAT_SECONDS
        while time.monotonic() < until and not self._ended.is_set():
            try:
                loss = losses.get(timeout=_LOSS_POLL_SECONDS)
            except Empty:
                loop = self._dispatcher.loop
                if loop is not None and loop.condition()[0] != self._worker.state:
                    return
                continue
            if loss is not None:
                self._handle_loss(loss)

    def _handle_loss(self, loss: Loss) -> None:
        try:
            self._record_crashes(loss)
        except redis.RedisError:
            # The lease reports the same loss later, with less evidence.
            log.warning("A crash could not be recorded", worker=f"{self._worker.host}:{loss.pid}", error=loss.how)

    def _record_crashes(self, loss: Loss) -> None:
        """Record what the lost process did, and release its entries."""
        if not wait_for_end(loss.pid):
            return  # the process may still use its entries, so only the lease may release them
        crash = CrashReport.now(f"{self._worker.host}:{loss.pid}", loss.how)
        queue = LeaseQueue(self._client, loss.lane)
        lost = record_loss(queue, crash, self._config)
        self._counters.add(Counts(loss.lane, deaths=1))
        log.error(
            "A pool process was lost",
            lane=loss.lane,
            worker=crash.where,
            error=crash.how,
            stage=lost.stage,
            documents=len(lost.ids),
            ids=lost.ids[:_LOGGED_IDS],
            next=lost.next,
        )

    def _update_state(self, now: float) -> None:
        """Update the state of this worker. `now` is Redis's time, in seconds since 1970.

        All times are computed anew from this process's monotonic clock: the clocks of the host and of Redis may differ, and
        either may be set.
        """
        worker, loop = self._worker, self._dispatcher.loop
        state, reason, progress = loop.condition() if loop is not None else ("starting", "", None)
        if state != worker.state:
            self._changed_at = time.monotonic()
        offset = now - time.monotonic()
        worker.started, worker.since = offset + self._started_at, offset + self._changed_at
        worker.last_progress = None if progress is None else offset + progress
        worker.state, worker.reason = state, reason
        worker.pool = pool_processes(self._controller, now - time.time())
        self._last_pool = worker.pool or self._last_pool  # keep the last known pool: a cold stop removes it first

    def _send_heartbeat(self) -> None:
        added, waiting = {}, {}
        for queue in self._queues:
            with contextlib.suppress(redis.ResponseError):  # the lane does not exist yet
                counts = queue.counts()
                added[queue.lane], waiting[queue.lane] = counts.added, counts.backlog
        with self._client.pipeline(transaction=False) as pipe:
            heartbeats.send(self._client, self._worker, pipe)
            self._counters.sample(added, pipe, waiting=waiting)
            heartbeat, *_ = pipe.execute(raise_on_error=False)
            if isinstance(heartbeat, Exception):
                raise heartbeat
        self._admission.check(consuming=self._worker.is_consuming)
        loop = self._dispatcher.loop
        if loop is not None:
            loop.blocked = self._admission.capacity.full


def pool_processes(controller: Controller, offset: float) -> tuple[PoolProcess, ...]:
    """Return the pool's processes and the batch of each, as the main process knows them.

    `offset`: by how many seconds Redis's clock is ahead of this host's.
    """
    busy = {}
    for request in list(celery_state.active_requests):
        if request.worker_pid is None or request.task_name != "copydesk.ingest":
            continue
        lane, ids = request.args if len(request.args) == 2 else (None, ())
        busy[request.worker_pid] = PoolProcess(request.worker_pid, lane, len(ids), request.time_start + offset)
    return tuple(busy.get(pid, PoolProcess(pid)) for pid in pool_pids(controller))
