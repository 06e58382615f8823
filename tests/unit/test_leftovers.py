"""A test run that leaves a process behind fails and names the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.servers import PATIENCE, ROOT, environment, processes_naming

_TEST = """
import subprocess

def test_passes():
    {code}
"""


@pytest.mark.parametrize(("code", "expected", "distributed"), [
    ("subprocess.Popen(['sleep', '3601'], start_new_session=True)", 1, "1"), ("subprocess.run(['true'])", 0, "0"),
], ids=["left", "ended"])  # fmt: skip
def test_a_process_that_is_left_fails_the_run(tmp_path, code, expected, distributed):
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text("utf-8"))
    (tmp_path / "test_it.py").write_text(_TEST.format(code=code))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "-n", distributed, "test_it.py"],
        cwd=tmp_path, env=environment(LEFTOVERS_SECONDS="2"), capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert run.returncode == expected, run.stdout + run.stderr
    assert ("sleep 3601" in run.stdout) == bool(expected), run.stdout
    assert processes_naming(str(tmp_path)) == []
