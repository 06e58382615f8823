"""Keeps the Celery worker running: starts it again when it dies, with growing waits, wherever it runs.

systemd and Compose do the same from outside, a terminal or a container without a restart policy does not.
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

from worker.runtime.supervision.restarts import Backoff, keep_running
from worker.telemetry.logs import get_logger

log = get_logger("supervisor")

SUPERVISOR = "COPYDESK_SUPERVISOR_PID"
"""Tells the worker who restarts it, so that it stops when that one is gone."""

_ORPHAN_SECONDS = 2.0
_MOST_FAILED_STARTS = 5
_PARENT_POLL_SECONDS = 0.5
_ORPHAN_STOP_SECONDS = 5.0
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Restarter:
    """Runs one command in a session of its own, for as long as nobody stops this process."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping: int | None = None
        self._exit_code = 0
        """Of the worker, when it was stopped while it ran."""

    def run(self) -> int:
        """Returns the worker's exit code when it was stopped, or when it does not start at all."""
        for number in _FORWARDED:
            signal.signal(number, self._forward)
        code = keep_running(
            self._run, report_end, self._is_stopped_after,
            backoff=Backoff(), most_failed_starts=_MOST_FAILED_STARTS,
        )  # fmt: skip
        if code is None:
            return self._exit_code
        log.error("The worker does not start", error=f"exit code {code}, {_MOST_FAILED_STARTS} times in a row")
        return code if code > 0 else 1

    def _run(self) -> int | None:
        environment = {**os.environ, SUPERVISOR: str(os.getpid())}
        self._process = subprocess.Popen(self._command, env=environment, start_new_session=True)
        if self._stopping is not None:  # between two lives
            self._process.terminate()
        code = self._process.wait()
        _end_orphans(self._process.pid)
        if self._stopping is None:
            return code
        self._exit_code = 0 if code in (0, -self._stopping, -signal.SIGTERM) else code
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
            # Ctrl-C means the warm stop too; whoever wants it cold says SIGQUIT, or it twice.
            process.send_signal(signal.SIGTERM if number == signal.SIGINT else number)


def report_end(code: int, wait: float) -> None:
    """Log that the worker ended with this exit code and starts again after `wait` seconds."""
    log.error("The worker ended", error=f"exit code {code}", next=f"it starts again in {wait:.0f} s")


def _end_orphans(group: int) -> None:
    """Pool processes whose main process died: they may finish what they are at, but not for long."""
    until = time.monotonic() + _ORPHAN_SECONDS
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < until:
            os.killpg(group, 0)
            time.sleep(0.05)
        os.killpg(group, signal.SIGKILL)


def end_with_supervisor() -> None:
    """Stop this worker when the process that would restart it is gone, killed perhaps: warmly, and after five seconds by
    killing its session, whatever it waits for (a start-up, Redis, its pool). Does nothing where nobody supervises it.
    """
    supervisor = os.environ.get(SUPERVISOR)
    if supervisor is not None:
        threading.Thread(target=_watch_parent, args=(int(supervisor),), name="copydesk-supervisor", daemon=True).start()


def _watch_parent(supervisor: int) -> None:
    while os.getppid() == supervisor:
        time.sleep(_PARENT_POLL_SECONDS)
    log.error("The supervisor of this worker is gone", next="it stops")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ORPHAN_STOP_SECONDS)
    log.error("The worker does not stop", next="it is killed with its pool; what that held comes back after its lease")
    os.killpg(0, signal.SIGKILL)  # whoever supervises it started it in a session of its own
