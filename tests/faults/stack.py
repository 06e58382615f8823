"""Two `copydesk worker` instances of two processes each, and a supervisor that restarts those that ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import redis

from tests.faults.traffic import LANES
from tests.support.commands import COMMAND, COMMANDS, RESERVE, RESERVES, ForkedProcess
from tests.support.servers import environment, processes_naming, until
from worker.queue.lease_queue import GROUP

PROCESSES = 2


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _end_with_the_tests() -> None:
    """Called in the child: send it SIGTERM when the thread that started it ends, as when the tests are killed."""
    with contextlib.suppress(AttributeError):  # only Linux has prctl
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Busy(NamedTuple):
    """A pool process that holds entries: its id, the id of the main process above it, and the id of the process that
    was
    started, which leads the session of the instance.
    """

    pid: int
    main: int
    leader: int


class Workers:
    """The workers under test. `patch`: the name of a change of `tests.faults.patched` that makes them faulty. `quick`:
    one
    worker of one process, see `tests.faults.quick`.
    """

    def __init__(self, folder: Path, settings: dict[str, str], client: redis.Redis, *, patch: str | None = None,
                 quick: bool = False, instances: int = 2) -> None:  # fmt: skip
        self._folder = folder
        self._client = client
        self._patch = patch
        self._quick = quick
        self._settings = settings
        self._names = [f"worker{number}@%h" for number in range(1 if quick else instances)]
        self._processes: dict[str, subprocess.Popen[bytes] | ForkedProcess] = {}
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._restart_what_ended, daemon=True, name="restarter")
        self.restarts = 0
        self.environment: dict[str, str] = {}
        """Variables for the instances that are started from now on, besides their settings."""

    @property
    def log(self) -> Path:
        return self._folder / "workers.log"

    def start(self) -> Workers:
        for name in self._names:
            self._processes[name] = self._spawn(name)
        self._watch.start()
        self.until_whole()
        return self

    def _spawn(self, name: str) -> subprocess.Popen[bytes] | ForkedProcess:
        arguments = ["worker", "--concurrency", str(PROCESSES), "--name", name]
        module = COMMAND
        if self._quick:
            module, arguments = "tests.faults.quick", []
        elif self._patch:  # Copydesk's own supervisor would start the unchanged code
            module, arguments = "tests.faults.patched", [self._patch, *arguments, "--no-supervised"]
        env = environment(**{"COPYDESK_LINK": "false", RESERVES: "4", **self._settings, **self.environment})
        with self.log.open("ab") as log:
            if "LD_PRELOAD" not in env:
                return COMMANDS.start(arguments, cwd=self._folder, env=env, out=log.fileno(), err=log.fileno(), session=True,
                                      module=module)  # fmt: skip
            # A new Python, which takes seconds under libfaketime; so it is one and not two.
            return subprocess.Popen([sys.executable, "-m", module, *arguments, "--no-supervised"], cwd=self._folder, env=env, stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, start_new_session=True, preexec_fn=_end_with_the_tests)  # fmt: skip

    def _restart_what_ended(self) -> None:
        """Restart instances that ended, as systemd or Compose does."""
        while not self._ended.wait(0.2):
            for name, process in self._processes.items():
                if process.poll() is not None and not self._ended.wait(0.5):
                    self.restarts += 1
                    self._processes[name] = self._spawn(name)

    def until_whole(self) -> None:
        """Wait until each instance has its main process and its pool."""
        until(lambda: len(self.mains()) == len(self._names) and len(self.pool()) >= (1 if self._quick else PROCESSES * len(self._names)),
              seconds=120, what="all workers are there")  # fmt: skip

    def mains(self) -> dict[int, int]:
        """Return the process that owns the pool, of each instance that has one → the instance's leader."""
        found = {}
        for process in self._processes.values():
            children = descendants(process.pid)
            # The main process is the parent of the pool, whether a supervisor runs above it or not.
            parents = Counter(parent for pid, parent in children.items() if pid not in children.values())
            if parents:
                found[parents.most_common(1)[0][0]] = process.pid
        return found

    def pool(self) -> dict[int, Busy]:
        """Return the ids of the pool processes of all instances, busy or not."""
        return {pid: Busy(pid, main, leader) for main, leader in self.mains().items()
                for pid, parent in descendants(main).items() if parent == main}  # fmt: skip

    def busy(self) -> Busy:
        """Return a pool process that holds entries now."""

        def find() -> Busy | None:
            holders = self.holders()
            if not holders:
                return None  # so that the processes of the machine are not read in vain, a thousand times a second
            return next((found for pid, found in self.pool().items() if holders.get(pid)), None)

        return until(find, seconds=120, what="a pool process holds entries", every=0.002)

    def hit_a_busy_process(self, action: Callable[[Busy], None]) -> Busy:
        """Apply `action` to a pool process that holds entries, or to those above it; returns which process it was.

        A process that has ended already (perhaps because of the fault before this one) is skipped for another.
        """
        while True:
            busy = self.busy()
            with contextlib.suppress(ProcessLookupError):
                action(busy)
                return busy

    def holders(self) -> dict[int, int]:
        """Return process id → entries that it holds, of all consumers that are workers."""
        held: Counter[int] = Counter()
        for lane in LANES:
            for consumer in self._client.xinfo_consumers(lane, GROUP):
                _, colon, pid = consumer["name"].decode().rpartition(":")
                if colon and consumer["pending"]:
                    held[int(pid)] += consumer["pending"]
        return held

    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def stop(self) -> None:
        self._ended.set()
        if self._watch.ident is not None:
            self._watch.join(timeout=10)
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        for process in self._processes.values():
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                kill_group(process.pid)
                process.wait()
        self._end_workers_without_supervisor()

    def _end_workers_without_supervisor(self) -> None:
        """A worker whose supervisor was killed leads a session of its own. It ends by itself within seconds, but a
        fault may have stopped its clock.
        """
        mark = str(self._folder)
        with contextlib.suppress(AssertionError):
            until(lambda: not processes_naming(mark), seconds=10, every=0.1)
        for pid in processes_naming(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def kill_group(leader: int, number: int = signal.SIGKILL) -> None:
    """Signal every process of the session at once, as the kernel or an operator does."""
    os.killpg(leader, number)


def descendants(pid: int) -> dict[int, int]:
    """Return process id → its parent's id, of all living processes below `pid` that do something."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            about, _, more = (folder / "stat").read_text().rpartition(")")
        except OSError:
            continue
        state, parent = more.split()[:2]
        if state != "Z" and not about.endswith(f"({RESERVE}"):
            children.setdefault(int(parent), []).append(int(folder.name))
    found: dict[int, int] = {}
    waiting = [pid]
    while waiting:
        parent_id = waiting.pop()
        for child in children.get(parent_id, ()):
            found[child] = parent_id
            waiting.append(child)
    return found
