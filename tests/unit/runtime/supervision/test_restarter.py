"""Which ends of the worker its supervisor answers with another start."""

from __future__ import annotations

import signal
import sys

import pytest

from worker.errors import Exit
from worker.runtime.supervision import restarter
from worker.runtime.supervision.restarter import SUPERVISOR, Restarter
from worker.runtime.supervision.restarts import Backoff

_SCRIPT = f"""
import os, signal, sys, time
runs, *codes = sys.argv[1:]
with open(runs, "a") as file:
    file.write(".")
number = os.path.getsize(runs)
if number <= len(codes):
    sys.exit(int(codes[number - 1]))
os.kill(int(os.environ["{SUPERVISOR}"]), signal.SIGTERM)
time.sleep(60)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(*codes)` supervises a process that ends with these codes, one after the other, and then has its supervisor
    stopped; returns the exit code of the supervisor, and how often the process was started.
    """
    monkeypatch.setattr(restarter, "Backoff", lambda: Backoff(first=0.01))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)}

    def supervise(*codes):
        runs = tmp_path / "runs"
        code = Restarter([sys.executable, "-S", "-c", _SCRIPT, str(runs), *map(str, codes)]).run()
        return code, runs.stat().st_size

    yield supervise
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("code", [Exit.USAGE, Exit.UNREACHABLE, Exit.UNSOUND])
def test_a_first_start_that_is_refused_is_not_repeated(run, code):
    assert run(code) == (code, 1)


@pytest.mark.parametrize("code", [Exit.UNREACHABLE, Exit.UNSOUND])
def test_a_worker_that_ran_is_started_again_also_while_a_server_is_refused(run, code):
    assert run(-9 % 256, code, code) == (0, 4)


def test_a_worker_that_was_stopped_is_not_started_again(run):
    assert run() == (0, 1)


def test_a_worker_that_never_starts_is_given_up(run):
    assert run(1, 1, 1, 1, 1) == (1, 5)
