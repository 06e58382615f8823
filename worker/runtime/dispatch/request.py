"""What the main process learns from Celery about a batch: that its pool process ended, or its error."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from queue import SimpleQueue

from billiard.common import human_status
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.exceptions import Ignore
from celery.worker import request

_HOW = re.compile(r"prematurely: (.+?)\.?(?: Job: .*)?$")


OUT_OF_MEMORY = 71
"""Exit code (EX_OSERR) of a pool process that met its memory limit. The kernel's OOM killer uses SIGKILL instead."""


class StoreUnusable(Ignore):
    """Raised when a batch could not be stored through no fault of its documents.

    They are released; Celery does nothing.
    """


@dataclass(frozen=True, slots=True)
class Loss:
    """A pool process that ended, or is being killed, while it processed a batch of `lane`."""

    lane: str
    pid: int
    how: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A batch could not be stored through no fault of its documents."""

    at: float
    """time.monotonic() of the failure."""
    error: str


losses: SimpleQueue[Loss | None] = SimpleQueue()
"""From Celery's event loop, which must not wait for Redis, to `SupervisionLoop`, which may. None only wakes it."""

troubles: SimpleQueue[Trouble] = SimpleQueue()
"""From Celery's event loop to the dispatcher."""


class Request(request.Request):
    """Celery's request, which also reports how a batch ended."""

    def on_failure(self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False) -> None:
        error = getattr(exc_info.exception, "exc", exc_info.exception)  # billiard wraps those of other processes
        if isinstance(error, WorkerLostError):
            cause = _HOW.search(str(error))
            self._report_loss(cause[1] if cause else str(error))
        elif isinstance(error, SystemExit):
            self._report_loss(f"exitcode {error.code}")
        elif isinstance(error, StoreUnusable):
            troubles.put(Trouble(time.monotonic(), str(error)))
        super().on_failure(exc_info, send_failed_event, return_ok)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        if not soft:
            self._report_loss(ended(int(self.worker_pid or 0)) or f"time limit of {timeout:g} s")
        super().on_timeout(soft, timeout)

    def _report_loss(self, how: str) -> None:
        if self.task_name == "copydesk.ingest" and self.worker_pid and len(self.args) == 2:
            why = " (out of memory)" if how == f"exitcode {OUT_OF_MEMORY}" else ""
            losses.put(Loss(str(self.args[0]), int(self.worker_pid), how + why))


def ended(pid: int) -> str | None:
    """Return how the child `pid` ended, without reaping it; None while it runs.

    Celery may reap a child seconds after its end.
    """
    if not pid or not hasattr(os, "waitid"):
        return None
    try:
        status = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if status is None:
        return None
    return human_status(status.si_status if status.si_code == os.CLD_EXITED else -status.si_status)


def is_child(pid: int) -> bool:
    """Return whether `pid` is still a child of this process; the number may have been reused."""
    if not hasattr(os, "waitid"):
        return False
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def wait_for_end(pid: int, *, within_seconds: float = 3.0) -> bool:
    """Wait up to `within_seconds` for the end of the process `pid`; return whether it has ended."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if ended(pid) is not None:
            return True  # Celery has not reaped it yet
        time.sleep(0.05)
    return False
