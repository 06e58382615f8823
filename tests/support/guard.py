"""End the servers of a test run, a benchmark or a soak that was ended by a signal.

A guard is a process beside it that reads from a pipe until it has ended, however it ended.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

MARK = "TESTS_RUN"
"""Environment variable with the id of the run. Every process that the tests start inherits it."""
_SECONDS = 5.0
"""Servers are asked to end, and killed after this time."""


def temporary_folder(name: str) -> str:
    """Make a folder whose path contains the id of the run; servers that overwrite their environment show the path.

    Without pytest, as in a benchmark, the first call marks the run and starts its guard.
    """
    if MARK not in os.environ:
        mark_run()
        atexit.register(start())
    return tempfile.mkdtemp(prefix=f"cd-{name}-{os.environ[MARK]}")


def mark_run() -> None:
    """Set the id of the run. Call it before any process is started."""
    os.environ[MARK] = uuid.uuid4().hex[:12]


def start() -> Callable[[], None]:
    """Start the guard of this run; return what stops it."""
    environment = {name: value for name, value in os.environ.items() if name != MARK}
    process = subprocess.Popen([sys.executable, "-m", "tests.support.guard"], stdin=subprocess.PIPE,
                               cwd=Path(__file__).parent.parent.parent, env=environment, start_new_session=True)  # fmt: skip

    assert process.stdin is not None
    # Not as an argument, because processes that name the run are those that its tests started.
    process.stdin.write(os.environ[MARK].encode() + b"\n")
    process.stdin.flush()

    def stop() -> None:
        process.kill()
        process.stdin.close()
        process.wait()

    return stop


def main() -> None:
    """Wait for the end of standard input; then end the run's processes and remove their folders."""
    run = sys.stdin.readline().strip()
    sys.stdin.read()
    from tests.support.servers import processes_naming  # after the wait, because it loads much

    for number in (signal.SIGINT, signal.SIGKILL):
        for pid in processes_naming(run):
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        deadline = time.monotonic() + _SECONDS
        while processes_naming(run) and time.monotonic() < deadline:
            time.sleep(0.1)
    for folder in Path(tempfile.gettempdir()).glob(f"cd-*-{run}*"):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
