"""Carries out what the watchdog decided: restarts of a part or of the process."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Sequence
from typing import NoReturn

import redis

from worker.queue.connection import connect
from worker.queue.crashes import CrashLog
from worker.queue.lease_queue import LeaseQueue
from worker.runtime.controller import Controller, inner_pool, pool_pids
from worker.runtime.dispatch.request import is_child, wait_for_end
from worker.settings import INTERNAL_LANE, Settings
from worker.telemetry.logs import get_logger

log = get_logger("worker")

EXIT_STUCK = 75
"""EX_TEMPFAIL: the supervisor of this process must start it again."""


def restart_consumer(controller: Controller) -> None:
    """Make Celery believe that its connection broke; it then connects again and declares its queue anew."""
    consumer, hub = controller.consumer, controller.hub

    def break_it() -> NoReturn:
        raise ConnectionResetError("the watchdog restarts the consumer")

    if consumer is not None and hub is not None:
        hub.call_soon(break_it)


def restart_process(controller: Controller) -> NoReturn:
    """Kill the pool and exit at once.

    A warm stop could hang as well. The claimed entries come back when their lease expires.
    """
    for pid in pool_pids(controller):
        _kill(pid)
    logging.shutdown()
    os._exit(EXIT_STUCK)


class StuckChildren:
    """Finds pool processes that were sent a batch and never accepted it, for example because of SIGSTOP."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._since: dict[int, float] = {}

    def end(self, controller: Controller) -> None:
        """Kill those that have not accepted a batch for too long.

        Celery starts others; the entries are dispatched again.
        """
        pool, waiting, now = inner_pool(controller), {}, time.monotonic()
        for number, job in list(pool._cache.items()) if pool is not None else ():
            process = getattr(job, "_write_to", None) or getattr(job, "_scheduled_for", None)
            if process is not None and not getattr(job, "_accepted", True):
                waiting[number] = self._since.get(number, now)
                if now - waiting[number] > self._timeout:
                    log.error("A pool process does not accept its batch", worker=str(process.pid), next="it is killed")
                    _kill(process.pid)
        self._since = waiting


def give_back(config: Settings, main: int, names: Sequence[str]) -> None:
    """Release the entries of killed pool processes when the worker ends, so that they do not wait for their lease.

    `main`: pid of the main process. `names`: the pool processes.
    """
    if os.getpid() != main:
        return  # a pool process, which inherited this exit handler
    for pid in (int(name.rpartition(":")[2]) for name in names):
        if is_child(pid):
            _kill(pid)  # the pool was told to end: a process that is left hangs, perhaps in the store
    ended = [name for name in names if wait_for_end(int(name.rpartition(":")[2]), within_seconds=1)]
    with contextlib.suppress(redis.RedisError), connect(config.redis, retries=0) as client:
        for lane in (*(lane.name for lane in config.lane_list), INTERNAL_LANE):
            queue = LeaseQueue(client, lane)
            for name in ended:
                # The attempt that may be counted now is taken back; earlier crashes stay counted.
                ids = {entry.id: entry.attempts - entry.is_read for entry in CrashLog(queue).held_by(name)}
                queue.release(name, ids, lease_seconds=config.lease_seconds)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
