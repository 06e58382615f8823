"""A plugin of pytest: it fails a test run after which a process that it started is still there, and ends that process.

Every process started by the tests inherits a variable that marks the run. Only the process that started the run looks,
after all workers of pytest-xdist have ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import guard
from tests.support.guard import MARK
from tests.support.servers import processes_naming, until

_SECONDS = float(os.environ.get("LEFTOVERS_SECONDS", "20"))
"""Servers such as PostgreSQL, which are stopped at the end, may take this long."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Mark the run before any process is started, and start its guard."""
    if not hasattr(config, "workerinput"):
        guard.mark_run()
        config.add_cleanup(guard.start())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Look after everything else has ended: this wrapper is outside all others."""
    yield
    _fail_if_any(session)


def _fail_if_any(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput") or not Path("/proc").is_dir():
        return
    mark = os.environ[MARK]
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
    with contextlib.suppress(AssertionError):
        until(lambda: not processes_naming(mark), seconds=_SECONDS, every=0.1)
    session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _describe(pid: int) -> str:
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        age = time.time() - Path(f"/proc/{pid}").stat().st_mtime
        return f"{pid}, {age:.0f} s old, in {Path(f'/proc/{pid}/cwd').readlink()}: {command}"
    return str(pid)
