"""Restarts a process whenever it ends. The delays grow while it keeps ending soon."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable

_POLL_SECONDS = 0.2
_START_SECONDS = 10.0
"""A process that ends sooner than this counts as a failed start."""
_WELL_SECONDS = 60.0
"""After a run of this length the delays start from the first one again."""


class Backoff:
    """The delay before the next start, in seconds: twice the last one, at most `longest`; `first` after a long run."""

    def __init__(self, first: float = 0.5, longest: float = 30.0) -> None:
        self._first = first
        self._longest = longest
        self._wait = first
        self.failed_starts = 0
        """How often in a row the process ended within seconds of its start."""

    def after_run(self, seconds: float) -> float:
        """Return the delay after a run of `seconds`; 0 stands for a process that could not be started."""
        self.failed_starts = self.failed_starts + 1 if seconds < _START_SECONDS else 0
        self._wait = self._first if seconds > _WELL_SECONDS else min(self._wait * 2, self._longest)
        return self._wait


def keep_running(
    run_process: Callable[[], int | None],
    report_end: Callable[[int, float], object],
    is_stopped_after: Callable[[float], bool],
    *,
    backoff: Backoff,
    max_failed_starts: float = float("inf"),
) -> int | None:
    """Call `run_process` again and again, with delays in between.

    `run_process` starts the process and returns its exit code when it has ended, or None when it is no longer wanted.
    `report_end(exit code, delay)` is called before each delay; `is_stopped_after(delay)` waits and returns whether the
    process is no longer wanted. Returns None then, or the exit code when it failed to start `max_failed_starts` times
    in a row.
    """
    while True:
        began = time.monotonic()
        code = run_process()
        if code is None:
            return None
        wait = backoff.after_run(time.monotonic() - began)
        if backoff.failed_starts >= max_failed_starts:
            return code
        report_end(code, wait)
        if is_stopped_after(wait):
            return None


def wait_for_end(process: subprocess.Popen[bytes], stop: threading.Event) -> int | None:
    """Wait for the end of `process`; return its exit code, or None as soon as `stop` is set."""
    while not stop.is_set():
        code = process.poll()
        if code is not None:
            return code
        stop.wait(_POLL_SECONDS)
    return None
