"""Ctrl-C and SIGTERM at any moment of any command: no traceback, no process left, and the exit code of an interrupt."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.servers import (
    ROOT,
    VALID,
    Valkey,
    command,
    copydesk,
    environment,
    free_port,
    processes_naming,
    until,
)

INTERRUPTED = 130
ENDED = (0, 1, 2, 3, 4)
"""Exit codes of a command that ended by itself before the signal came, or at the same moment."""

EMBEDDED = [("ingest", VALID), ("ingest", "--json", VALID), ("up",), ("status",), ("reprocess", "--yes")]
"""Commands that start their own servers. `up` is here and not below, because it serves the folder."""

BESIDE_REDIS = [
    ("worker",), ("worker", "--no-supervised"), ("tail",), ("status", "--watch"), ("status", "--watch", "--json"), ("metrics",),
    ("console",), ("submit", "--wait", VALID), ("submit", VALID), ("ingest", VALID), ("reprocess", "--yes"), ("reprocess",),
    ("dead", "edit", "1"), ("dead", "mend", "--exec", "sleep 60"), ("dead", "list"), ("dead", "replay", "--yes"),
    ("db", "upgrade"), ("db", "check"), ("db", "prune", "--yes"), ("status", "--wait-drained"), ("audit",), ("health",),
    ("sources",), ("explain", "https://www.ferry.example/1"), ("stories",), ("similar", "https://www.ferry.example/1"),
    ("check", VALID), ("lane", "pause", "documents"), ("lane", "resume", "documents"), ("lane", "list"), ("repair", "--help"),
    ("retract", "x", "--yes"), ("schema", "export"), ("--help",),
]  # fmt: skip
SHORT = [
    ("worker",), ("tail",), ("status", "--watch"), ("console",), ("submit", "--wait", VALID), ("ingest", VALID),
    ("reprocess", "--yes"), ("dead", "edit", "1"), ("dead", "mend", "--exec", "sleep 60"), ("db", "check"), ("similar", "https://www.ferry.example/1"),
]  # fmt: skip
"""Commands of the default suite: those that stay, wait, write, read, or start another program."""
STAY = [("tail",), ("status", "--watch"), ("metrics",), ("console",), ("dead", "edit"), ("submit", "--wait")]
"""Commands that end only by a signal; `submit --wait` waits for a worker that does not run."""

assert set(SHORT) <= set(BESIDE_REDIS)
HOW = ["process", "group", "twice", "term"]


@dataclass(frozen=True)
class Trial:
    """One command, and when and how it is interrupted: `after` seconds after it started to handle signals."""

    arguments: tuple
    after: float
    how: str

    def run(self, folder: Path, **settings: str) -> None:
        """Run the command and interrupt it. Raises AssertionError."""
        mark = uuid.uuid4().hex
        temporary = folder / f"tmp-{mark}"
        temporary.mkdir()
        ports = {"metrics": ["--listen", f"127.0.0.1:{free_port()}"], "console": ["--port", str(free_port())]}
        arguments = [*self.arguments, *ports.get(self.arguments[0], [])]
        with (folder / f"{mark}.log").open("wb+") as log:
            process = subprocess.Popen(
                command(*arguments), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=environment(COPYDESK_LINK="true", TRIAL=mark, EDITOR="sh -c 'sleep 60'", TMPDIR=str(temporary), **settings),
            )  # fmt: skip
            until(
                lambda: process.poll() is not None or _handles_signals(process.pid),
                what="it handles signals",
                every=0.001,
            )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=self.after)
            ended = process.poll() is not None
            self._interrupt(process.pid)
            began = time.monotonic()
            try:
                process.wait(timeout=60)
            finally:
                took = time.monotonic() - began
                log.seek(0)
                text = log.read().decode("utf-8", "replace")
                # Valkey overwrites its environment with its process title; the title contains its folder.
                left = _left(mark if settings else str(folder))
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        about = f"{self}: exit code {process.returncode} after {took:.1f} s\n{text}"
        assert "Traceback" not in text, about
        assert "Exception ignored" not in text, about
        assert not left, about
        assert not [path for path in temporary.iterdir() if path.name.startswith("copydesk-")], about
        if self.arguments[0] in ("up", "worker"):
            assert process.returncode == 0, about
        elif any(self.arguments[: len(stays)] == stays for stays in STAY):
            assert process.returncode == INTERRUPTED, about
        else:
            assert process.returncode == INTERRUPTED or process.returncode in ENDED, about
            assert ended or process.returncode == INTERRUPTED or took < 10, about  # it was about to end

    def _interrupt(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.how == "group":  # as a terminal does
                os.killpg(pid, signal.SIGINT)
            else:
                os.kill(pid, signal.SIGTERM if self.how == "term" else signal.SIGINT)
            if self.how == "twice":
                time.sleep(0.05)
                os.kill(pid, signal.SIGINT)


def _handles_signals(pid: int) -> bool:
    """Return whether SIGTERM has a handler. Python installs none by itself: before that no code of ours has run."""
    try:
        caught = next(
            line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt")
        )
    except (OSError, StopIteration):
        return False
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def _left(mark: str) -> list[int]:
    """Return processes of the trial that still run a moment after its end."""
    with contextlib.suppress(AssertionError):
        until(lambda: not processes_naming(mark), seconds=20)
    return processes_naming(mark)


def _all(trials: list[Trial], folder: Path, *, at_once: int, **settings: str) -> None:
    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(trial.run, folder, **settings) for trial in trials]:
            done.result()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with its own store and one open dead letter."""
    folder = tmp_path_factory.mktemp("interrupts")
    (folder / "bad.md").write_text("no front matter\n")
    assert copydesk("ingest", VALID, folder / "bad.md", cwd=folder).returncode == 1
    return folder


@pytest.fixture(scope="module")
def settings(folder):
    server = Valkey()
    server.start()
    yield {"COPYDESK_REDIS_URL": server.url}
    server.stop()


def is_usable(folder: Path) -> None:
    assert copydesk("db", "check", cwd=folder).returncode == 0
    run = copydesk("ingest", VALID, cwd=folder)
    assert run.returncode == 0, run.stderr


def test_interrupted_commands_beside_a_redis_end_cleanly(folder, settings):
    draw = random.Random(0)
    trials = [Trial(arguments, draw.choice([0.0, 0.1, 0.3, 0.6, 1.0, 1.5]), HOW[number % 4])
              for number, arguments in enumerate(SHORT)]  # fmt: skip
    _all(trials, folder, at_once=4, **settings)


@pytest.mark.parametrize(("after", "how"), [(0.5, "group"), pytest.param(2.0, "term", marks=pytest.mark.long)])
def test_interrupted_commands_with_their_own_servers_end_cleanly(folder, after, how):
    for arguments in (("ingest", VALID), ("up",)):
        Trial(arguments, after, how).run(folder)


def test_the_folder_is_usable_after_interrupts(folder):
    is_usable(folder)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("how", HOW)
def test_each_command_ends_cleanly_when_interrupted_at_many_moments(folder, settings, how):
    moments = [0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0]
    for arguments in EMBEDDED:
        for after in moments:
            Trial(arguments, after, how).run(folder)
        is_usable(folder)
    _all(
        [Trial(arguments, after, how) for arguments in BESIDE_REDIS for after in moments], folder, at_once=4, **settings
    )


def test_a_signal_while_a_class_is_made_ends_the_command_without_a_traceback():
    """Python 3.11 raises RuntimeError then, caused by the KeyboardInterrupt."""
    program = """
import os, signal
import worker.cli.app
from worker.cli.main import main

class Descriptor:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(1000))

def run():
    class Owner:
        descriptor = Descriptor()

worker.cli.app.run = run
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")
