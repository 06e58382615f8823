"""A test run that leaves a process behind fails and names the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.guard import MARK
from tests.support.servers import PATIENCE, environment, processes_naming, until

_PLUGINS = ("-p", "tests.support.leftovers", "-p", "no:cacheprovider")
"""The run has only the plugin: the `conftest.py` of the tests, which uses it too, takes a second of CPU to load."""
_ENDED = """
import time
from pathlib import Path
from tests.support.servers import Valkey

def test_it():
    Path("started").write_text(str(Valkey().start().folder))
    time.sleep(600)
"""
_TEST = """
import subprocess

def test_passes():
    {code}
"""


def test_the_tests_use_the_plugin(request):
    assert request.config.pluginmanager.has_plugin("tests.support.leftovers")


@pytest.mark.parametrize(("code", "expected", "distributed"), [
    pytest.param("subprocess.Popen(['sleep', '3601'], start_new_session=True)", 1, "1", id="left"),
    pytest.param("subprocess.run(['true'])", 0, "0", id="ended", marks=pytest.mark.long),
])  # fmt: skip
def test_a_process_that_is_left_fails_the_run(tmp_path, code, expected, distributed):
    (tmp_path / "test_it.py").write_text(_TEST.format(code=code))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *_PLUGINS, "-c", os.devnull, "--rootdir", ".", "-n", distributed, "test_it.py"],
        cwd=tmp_path, env=environment(LEFTOVERS_SECONDS="0.5"), capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert run.returncode == expected, run.stdout + run.stderr
    assert ("sleep 3601" in run.stdout) == bool(expected), run.stdout
    assert processes_naming(str(tmp_path)) == []


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL], ids=lambda number: number.name
)
def test_the_servers_of_a_run_that_was_ended_by_a_signal_end_too(tmp_path, number):
    (tmp_path / "test_it.py").write_text(_ENDED)
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *_PLUGINS, "-c", os.devnull, "--rootdir", ".", "-n", "0", "test_it.py"],
        cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    until(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text(), what="its Valkey is started")
    folder = (tmp_path / "started").read_text()
    assert processes_naming(folder)
    run.send_signal(number)
    run.wait()
    until(lambda: not processes_naming(folder) and not Path(folder).exists(), seconds=60, what="its Valkey is gone")


_BENCHMARK = """
import subprocess, time
from pathlib import Path
from tests.support.servers import Valkey, environment

valkey = Valkey().start()
subprocess.Popen(["sleep", "3602"], env=environment(), cwd=valkey.folder, start_new_session=True)  # as its worker
Path("started").write_text(str(valkey.folder))
time.sleep(600)
"""


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL], ids=lambda number: number.name
)
def test_the_servers_and_workers_of_a_benchmark_that_was_ended_by_a_signal_end_too(tmp_path, number):
    own = environment()
    del own[MARK]
    run = subprocess.Popen([sys.executable, "-c", _BENCHMARK], cwd=tmp_path, env=own)
    until(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text(), what="its Valkey is started")
    folder = (tmp_path / "started").read_text()
    assert len(processes_naming(folder)) == 2
    run.send_signal(number)
    run.wait()
    until(lambda: not processes_naming(folder) and not Path(folder).exists(), seconds=60, what="both are gone")
