"""Tests run in several processes: each once, one file in one process, and a process that ends is reported and replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.servers import PATIENCE, environment, until

_CONFTEST = """
import os
from pathlib import Path
import pytest
from tests.support import parallel

pytest_addoption, pytest_runtestloop = parallel.pytest_addoption, parallel.pytest_runtestloop

def note(text):
    with Path("notes").open("a") as notes:
        notes.write(f"{text}\\n")

@pytest.fixture(autouse=True, scope="module")
def server(request):
    note(f"starts {request.path.name} {os.getpid()}")
    yield
    note(f"stops {request.path.name} {os.getpid()}")

@pytest.fixture(autouse=True)
def noted(request, tmp_path):
    (tmp_path / "own").touch(exist_ok=False)
    note(f"runs {request.node.name} {os.getpid()}")
"""
_PASSES = """
import pytest

@pytest.mark.parametrize("number", range(5))
def test_{file}(number):
    print("nobody reads this")
"""
_ENDS = """
import os, signal, pytest

@pytest.mark.parametrize("number", range(3))
def test_ends(number):
    if number == {at}:
        {how}
"""
_WAITS = """
import time

def test_{file}():
    time.sleep(600)
"""


_ENVIRONMENT = environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")


def _arguments(*more: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", ".", *more]


def _run(folder: Path, *more: str) -> tuple[int, str]:
    run = subprocess.run(
        _arguments(*more), cwd=folder, env=_ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE
    )
    return run.returncode, run.stdout + run.stderr


def _notes(folder: Path, verb: str) -> list[list[str]]:
    return [line.split()[1:] for line in (folder / "notes").read_text().splitlines() if line.startswith(verb)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    for file in ("a", "b", "c"):
        (tmp_path / f"test_{file}.py").write_text(_PASSES.format(file=file))
    return tmp_path


def test_each_test_runs_once_and_each_file_in_one_process(folder):
    code, output = _run(folder, "-n", "2", "-q")
    assert code == 0, output
    assert "15 passed" in output
    assert "nobody reads" not in output
    assert len({name for name, _ in _notes(folder, "runs")}) == len(_notes(folder, "runs")) == 15
    assert sorted(_notes(folder, "starts")) == sorted(_notes(folder, "stops"))
    assert Counter(name for name, _ in _notes(folder, "starts")) == {"test_a.py": 1, "test_b.py": 1, "test_c.py": 1}
    assert len({process for _, process in _notes(folder, "runs")}) == 2


def test_a_failure_is_shown_with_its_output(folder):
    (folder / "test_d.py").write_text(
        "def test_fails():\n    print('before it failed')\n    left = 3\n    assert left == 4\n"
    )
    code, output = _run(folder, "-n", "3", "-q")
    assert code == 1
    assert "1 failed, 15 passed" in output
    for shown in ("before it failed", "assert 3 == 4", "FAILED test_d.py::test_fails"):
        assert shown in output


@pytest.mark.parametrize(
    ("how", "said"),
    [("os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL"), ("os._exit(7)", "ended with exit code 7")],
)
def test_the_test_that_ends_its_process_fails_and_the_others_run(folder, how, said):
    (folder / "test_0.py").write_text(_ENDS.format(at=1, how=how))
    for file in ("00", "000"):
        (folder / f"test_{file}.py").write_text(_ENDS.format(at=2, how=how))
    code, output = _run(folder, "-n", "2", "-q")
    assert code == 1
    assert "3 failed, 21 passed" in output
    for test in ("test_0.py::test_ends[1]", "test_00.py::test_ends[2]", "test_000.py::test_ends[2]"):
        assert f"The process that ran {test} {said}." in output


def test_after_the_first_failure_no_further_test_begins_if_so_asked(folder):
    (folder / "test_0.py").write_text("def test_fails():\n    assert False\n")
    (folder / "test_00.py").write_text(_WAITS.format(file="00"))
    code, output = _run(folder, "-n", "2", "-q", "-x")
    assert code == 1, output
    assert "stopping after 1 failures" in output
    assert len(_notes(folder, "starts")) == len(_notes(folder, "stops"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_the_processes_end_with_the_one_that_started_them(folder, number):
    for file in ("0", "00"):
        (folder / f"test_{file}.py").write_text(_WAITS.format(file=file))
    run = subprocess.Popen(_arguments("-n", "2"), cwd=folder, env=_ENVIRONMENT, stdout=subprocess.DEVNULL)
    until(lambda: (folder / "notes").exists() and len(_notes(folder, "runs")) == 2, what="two tests run")
    run.send_signal(number)
    assert run.wait(PATIENCE) == (2 if number == signal.SIGINT else -number)
    until(lambda: len(_notes(folder, "stops")) == 2, what="their fixtures have ended")
    until(
        lambda: not any(Path(f"/proc/{process}").exists() for _, process in _notes(folder, "runs")),
        what="both are gone",
    )
    assert "test_a.py" not in {name for name, _ in _notes(folder, "starts")}
