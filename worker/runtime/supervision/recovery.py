"""Carries out what the watchdog decided: restarts of a part or of the process."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import redis

from worker.queue.connection import connect
from worker.queue.lease_queue import GROUP, LeaseQueue
from worker.runtime.dispatch.request import is_child, is_gone
from worker.settings import INTERNAL_LANE, Settings
from worker.telemetry.logs import get_logger

log = get_logger("worker")

EXIT_STUCK = 75
"""EX_TEMPFAIL: the supervisor of this process must start it again."""


def restart_consumer(controller: Any) -> None:
    """Make Celery believe that its connection broke; it then connects again and declares its queue anew."""
    consumer, hub = controller.consumer, controller.hub

    def break_it() -> NoReturn:
        raise ConnectionResetError("the watchdog restarts the consumer")

    if consumer is not None and hub is not None:
        hub.call_soon(break_it)


def restart_process(controller: Any) -> NoReturn:
    """Kill the pool and exit at once.

    A warm stop could hang as well. The claimed entries come back when their lease expires.
    """
    pool = getattr(getattr(controller, "pool", None), "_pool", None)
    for process in getattr(pool, "_pool", ()):
        _kill(process.pid)
    logging.shutdown()
    os._exit(EXIT_STUCK)


class StuckChildren:
    """Finds pool processes that were sent a batch and never accepted it, for example because of SIGSTOP."""

    def __init__(self, delay: float) -> None:
        self._timeout = delay
        self._since: dict[Any, float] = {}

    def end(self, controller: Any) -> None:
        """Kill those that have not accepted a batch for too long.

        Celery starts others; the entries are dispatched again.
        """
        pool = getattr(getattr(controller, "pool", None), "_pool", None)
        waiting, now = {}, time.monotonic()
        for number, job in list(getattr(pool, "_cache", {}).items()):
            process = getattr(job, "_write_to", None) or getattr(job, "_scheduled_for", None)
            if process is not None and not getattr(job, "_accepted", True):
                waiting[number] = self._since.get(number, now)
                if now - waiting[number] > self._timeout:
                    log.error("A pool process does not take up its batch", worker=str(process.pid), next="it is killed")
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
    gone = [name for name in names if is_gone(int(name.rpartition(":")[2]), within_seconds=1)]
    with contextlib.suppress(redis.RedisError), connect(config.redis, retries=0) as client:
        for lane in (*(lane.name for lane in config.lane_list), INTERNAL_LANE):
            queue = LeaseQueue(client, lane)
            for name in gone:
                held: Any = client.xpending_range(lane, GROUP, "-", "+", config.pending_cap, consumername=name)
                # The attempt that may be counted now is taken back; earlier crashes stay counted.
                ids = {entry["message_id"].decode(): max(0, entry["times_delivered"] - 2) for entry in held}
                queue.release(name, ids, lease_seconds=config.lease_seconds)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
