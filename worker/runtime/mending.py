"""What the keeper does about what the watchdog found: restarts, from the mildest to the last."""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import Any, NoReturn

from worker.observe.logs import get_logger
from worker.runtime.restarter import SUPERVISOR

log = get_logger("worker")

EXIT_STUCK = 75
"""EX_TEMPFAIL: whoever started this process should start it again."""


def restart_consumer(controller: Any) -> None:
    """Let Celery believe that its connection broke, which it mends by connecting and declaring its queue anew."""
    consumer, hub = controller.consumer, controller.hub

    def break_it() -> NoReturn:
        raise ConnectionResetError("the watchdog restarts the consumer")

    if consumer is not None and hub is not None:
        hub.call_soon(break_it)


def restart_process(controller: Any) -> NoReturn:
    """End at once, without the warm stop that could hang as well. The entries in hand come back when their lease ends."""
    pool = getattr(getattr(controller, "pool", None), "_pool", None)
    for process in getattr(pool, "_pool", ()):
        _kill(process.pid)
    logging.shutdown()
    os._exit(EXIT_STUCK)


class StuckChildren:
    """Pool processes that were given a batch and never took it up, as one that was stopped before it could."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: dict[Any, float] = {}

    def end(self, controller: Any) -> None:
        """Kill those that have been so for too long; Celery starts others, and the entries are dispatched again."""
        pool = getattr(getattr(controller, "pool", None), "_pool", None)
        waiting, now = {}, time.monotonic()
        for number, job in list(getattr(pool, "_cache", {}).items()):
            process = getattr(job, "_write_to", None) or getattr(job, "_scheduled_for", None)
            if process is not None and not getattr(job, "_accepted", True):
                waiting[number] = self._since.get(number, now)
                if now - waiting[number] > self._patience:
                    log.error("A pool process does not take up its batch", worker=str(process.pid), next="it is killed")
                    _kill(process.pid)
        self._since = waiting


def orphaned() -> bool:
    """Whether the supervisor that would restart this process is gone."""
    supervisor = os.environ.get(SUPERVISOR)
    return supervisor is not None and str(os.getppid()) != supervisor


def stop_warmly() -> None:
    """As SIGTERM from outside does."""
    os.kill(os.getpid(), signal.SIGTERM)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
