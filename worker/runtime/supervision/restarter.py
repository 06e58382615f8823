"""Keeps the Celery worker running: restarts it when it ends, after growing delays.

systemd and Compose do the same from outside; a terminal, or a container without a restart policy, does not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from types import FrameType

from worker.errors import Exit
from worker.runtime.supervision.restarts import Backoff, keep_running
from worker.telemetry.logs import get_logger

log = get_logger("supervisor")

SUPERVISOR = "COPYDESK_SUPERVISOR_PID"
"""Environment variable with the supervisor's pid. The worker stops when that process is gone."""

_ORPHAN_SECONDS = 2.0
_MAX_FAILED_STARTS = 5
_PARENT_POLL_SECONDS = 0.5
_ORPHAN_STOP_SECONDS = 5.0
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_REFUSALS = (Exit.USAGE, Exit.UNREACHABLE, Exit.UNSOUND)
"""Exit codes of a worker that has not started, because a setting or a server is not usable."""


class Restarter:
    """Runs one command in a session of its own and restarts it until this process is stopped.

    If the first start is refused (`_REFUSALS`), the command is not restarted: the user at the terminal has to change
    something. Later refusals are retried, because the server may come back.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping: int | None = None
        self._starts = 0
        self._exit_code = 0
        """Exit code of the worker that was stopped or refused."""

    def run(self) -> int:
        """Run the command; return its exit code when it was stopped or refused, or fails to start five times in a row."""
        for number in _FORWARDED:
            signal.signal(number, self._forward)
        code = keep_running(
            self._run, report_end, self._is_stopped_after, backoff=Backoff(), max_failed_starts=_MAX_FAILED_STARTS
        )
        if code is None:
            return self._exit_code
        log.error("The worker does not start", error=f"exit code {code}, {_MAX_FAILED_STARTS} times in a row")
        return code if code > 0 else 1

    def _run(self) -> int | None:
        environment = {**os.environ, SUPERVISOR: str(os.getpid())}
        self._process = subprocess.Popen(self._command, env=environment, start_new_session=True)
        if self._stopping is not None:  # the signal came between two runs
            self._process.terminate()
        self._starts += 1
        code = self._process.wait()
        _end_orphans(self._process.pid)
        if self._stopping is not None:
            self._exit_code = 0 if code in (0, -self._stopping, -signal.SIGTERM) else code
        elif self._starts == 1 and code in _REFUSALS:
            self._exit_code = code
        else:
            return code
        return None

    def _is_stopped_after(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self._stopping is None and time.monotonic() < until:
            time.sleep(0.1)
        return self._stopping is not None

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        self._stopping = number
        process = self._process
        if process is not None and process.poll() is None:
            # Ctrl-C means a warm stop too; SIGQUIT, or a second Ctrl-C, means a cold one.
            process.send_signal(signal.SIGTERM if number == signal.SIGINT else number)


def report_end(code: int, wait: float) -> None:
    """Log that the worker ended with exit code `code` and starts again after `wait` seconds."""
    log.error("The worker ended", error=f"exit code {code}", next=f"it starts again in {wait:.0f} s")


def _end_orphans(group: int) -> None:
    """Give pool processes whose main process died two seconds to finish, then kill their process group."""
    until = time.monotonic() + _ORPHAN_SECONDS
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < until:
            os.killpg(group, 0)
            time.sleep(0.05)
        os.killpg(group, signal.SIGKILL)


def end_with_supervisor() -> None:
    """Stop this worker when its supervisor is gone: SIGTERM, and after five seconds SIGKILL to its session.

    Starts a thread that watches; does nothing without a supervisor. SIGKILL also ends a worker that hangs in its
    start-up, in Redis or in its pool.
    """
    supervisor = os.environ.get(SUPERVISOR)
    if supervisor is not None:
        threading.Thread(target=_watch_parent, args=(int(supervisor),), name="copydesk-supervisor", daemon=True).start()


def stop_worker() -> None:
    """Stop this worker as SIGTERM does. Its supervisor stops with it: otherwise it would start the worker again."""
    supervisor = int(os.environ.get(SUPERVISOR, 0))
    os.kill(supervisor if supervisor == os.getppid() else os.getpid(), signal.SIGTERM)


def _watch_parent(supervisor: int) -> None:
    while os.getppid() == supervisor:
        time.sleep(_PARENT_POLL_SECONDS)
    log.error("The supervisor of this worker has ended", next="it stops")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ORPHAN_STOP_SECONDS)
    log.error(
        "The worker does not stop",
        next="it is killed with its pool; their documents are dispatched again after the lease",
    )
    os.killpg(0, signal.SIGKILL)  # the supervisor started this worker in a session of its own
