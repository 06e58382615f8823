"""The keeper: a thread in each worker's main process, apart from the dispatcher, that says who is at work and how.

It says so even when the dispatcher hangs: that is when it matters.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from importlib import metadata
from typing import Any

import redis
from celery import bootsteps
from celery.worker import state as celery_state

from worker.intake import presence
from worker.intake.connect import connect
from worker.intake.presence import BEAT_SECONDS, PoolProcess, WorkerState
from worker.intake.stream import LeaseQueue
from worker.intake.tally import Tally
from worker.observe.logs import get_logger
from worker.runtime.dispatcher import Dispatcher, DispatchLoop
from worker.settings import Settings, settings

log = get_logger("worker")


class Keeper(bootsteps.StartStopStep):
    """Celery's hook: the keeper starts after the dispatcher and stops before it."""

    requires = (Dispatcher,)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self.loop: KeeperLoop | None = None

    def start(self, parent: Any) -> None:
        self.loop = KeeperLoop(settings(), parent)
        self.loop.start()

    def stop(self, parent: Any) -> None:
        if self.loop is not None:
            self.loop.stop()

    terminate = stop


class KeeperLoop(threading.Thread):
    """Beats every two seconds until stopped."""

    def __init__(self, config: Settings, controller: Any) -> None:
        super().__init__(name="copydesk-keeper", daemon=True)
        self._controller = controller
        self._client = connect(config.redis, retries=0)
        self._tally = Tally(self._client)
        self._queues = [LeaseQueue(self._client, lane.name) for lane in config.lane_list]
        self._ended = threading.Event()
        host, now = socket.gethostname(), time.time()
        self._worker = WorkerState(
            name=f"{host}:{os.getpid()}", host=host, pid=os.getpid(), version=metadata.version("copydesk"), started=now,
            lanes=tuple(lane.name for lane in config.lane_list), concurrency=controller.concurrency, since=now,
        )  # fmt: skip

    def stop(self) -> None:
        """Say that this worker leaves; returns when the thread has ended."""
        self._ended.set()
        self.join(timeout=10)

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._look()
                self._beat()
            except redis.RedisError:
                pass  # the dispatcher says that Redis is away; silence is how others learn it
            except Exception:
                log.exception("The keeper failed", next="it goes on in two seconds")
            self._ended.wait(BEAT_SECONDS)
        try:
            presence.leave(self._client, self._worker.name)
        except redis.RedisError:
            return

    def _dispatcher(self) -> DispatchLoop | None:
        step = getattr(self._controller, "copydesk_dispatcher", None)
        return step.loop if step is not None else None

    def _look(self) -> None:
        worker, loop = self._worker, self._dispatcher()
        state, reason, progress = loop.condition() if loop is not None else ("starting", "", None)
        if state != worker.state:
            worker.since = time.time()
        worker.state, worker.reason, worker.last_progress = state, reason, progress
        worker.pool = pool_processes(self._controller)

    def _beat(self) -> None:
        added = {}
        for queue in self._queues:
            with contextlib.suppress(redis.ResponseError):  # the lane is not made yet
                added[queue.lane] = queue.figures()[0]
        with self._client.pipeline(transaction=False) as pipe:
            presence.beat(self._client, self._worker, pipe)
            self._tally.sample(added, pipe)
            pipe.execute()


def pool_processes(controller: Any) -> tuple[PoolProcess, ...]:
    """The pool's processes and what each does, as the main process knows it."""
    busy = {}
    for request in list(celery_state.active_requests):
        if request.worker_pid is None or request.task_name != "copydesk.ingest":
            continue
        lane, ids = request.args if len(request.args) == 2 else (None, ())
        busy[request.worker_pid] = PoolProcess(request.worker_pid, lane, len(ids), request.time_start)
    inner = getattr(getattr(controller, "pool", None), "_pool", None)
    pids = [process.pid for process in getattr(inner, "_pool", ())]
    return tuple(busy.get(pid, PoolProcess(pid)) for pid in pids)
