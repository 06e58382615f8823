"""Fails a run of the tests after which a process that they started is still there, and ends that process.

Every process started by the tests inherits a variable that marks the run. Only the process that started the run looks, after
all workers of pytest-xdist have ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from pathlib import Path

import pytest

from tests.support.servers import processes_naming, until

MARK = "TESTS_RUN"
_SECONDS = float(os.environ.get("LEFTOVERS_SECONDS", "20"))
"""What is told to stop at the end, such as PostgreSQL, may take so long."""


def mark_run(config: pytest.Config) -> None:
    """For `pytest_configure`: before any process is started."""
    if not hasattr(config, "workerinput"):
        os.environ[MARK] = uuid.uuid4().hex


def fail_if_any(session: pytest.Session) -> None:
    """For the end of `pytest_sessionfinish`."""
    if hasattr(session.config, "workerinput") or not Path("/proc").is_dir():
        return
    mark = f"{MARK}={os.environ[MARK]}"
    with contextlib.suppress(AssertionError):
        until(lambda: not processes_naming(mark), seconds=_SECONDS, every=0.1)
    left = processes_naming(mark)
    if not left:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    reporter.write_line("")
    reporter.write_line("Processes that the tests started and left behind (killed now):", red=True)
    for pid in left:
        reporter.write_line(f"  {_describe(pid)}", red=True)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _describe(pid: int) -> str:
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        age = time.time() - Path(f"/proc/{pid}").stat().st_mtime
        return f"{pid}, {age:.0f} s old, in {Path(f'/proc/{pid}/cwd').readlink()}: {command}"
    return str(pid)
