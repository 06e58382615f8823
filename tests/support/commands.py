"""Run `copydesk …` in a process that is forked from one that has loaded Python's modules, so that they need not be loaded
again. The command sees what it sees in a shell: arguments, folder, environment, standard streams, signals, exit code.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

COMMAND = "worker.cli.main"
RESERVE = "reserve"
"""Name of a process that waits for what it becomes."""
RESERVES = "TESTS_RESERVES"
"""Variable in the environment of a command: so many processes that it starts are forks (1), the later ones new Pythons."""


_SHARED = "TESTS_COMMANDS"
"""Environment variable with the folder of the process that all workers of pytest-xdist use."""


class Commands:
    """The process from which the commands are forked. It starts with the first command, or by `share`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder = os.environ.get(_SHARED, "")
        self._process: subprocess.Popen[bytes] | None = None

    def share(self) -> None:
        """Start the process, for this process and those that it starts from now on."""
        self._start()
        os.environ[_SHARED] = self._folder

    def socket(self) -> str:
        """Return the path of the socket at which the process accepts commands, see `send`."""
        with self._lock:
            if not self._folder:
                self._start()
        return f"{self._folder}/socket"

    def run(
        self, arguments: list[str], *, cwd: Path, env: dict[str, str], timeout: float, module: str = COMMAND
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, or another `module`. Raises subprocess.TimeoutExpired, as subprocess.run does, with the command killed."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = self.start(arguments, cwd=cwd, env=env, out=out.fileno(), err=err.fileno(), module=module)
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise subprocess.TimeoutExpired(arguments, timeout, _read(out), _read(err)) from None
            return subprocess.CompletedProcess(arguments, code, _read(out), _read(err))

    def start(
        self, arguments: list[str], *, cwd: Path, env: dict[str, str], out: int, err: int, session: bool = False,
        module: str = COMMAND,
    ) -> ForkedProcess:  # fmt: skip
        """Start the command, or another `module`, with standard output and error `out` and `err`; it is killed when this
        process ends. `session`: in a session of its own.
        """
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.socket())
        send(
            connection,
            {"module": module, "arguments": arguments, "cwd": str(cwd), "env": env, "session": session},
            [out, err],
        )
        return ForkedProcess(arguments, connection)

    def _start(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="cd-run-")
        root = str(Path(__file__).parent.parent.parent)
        self._process = subprocess.Popen([sys.executable, "-m", "tests.support.command_server", self._folder], cwd=root, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, start_new_session=True)  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"listens\n"  # commands wait until it has loaded everything
        atexit.register(self.stop)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._process, self._folder = None, ""


class ForkedProcess:
    """A started command, with the methods of subprocess.Popen."""

    def __init__(self, arguments: list[str], connection: socket.socket) -> None:
        self.args = arguments
        self.returncode: int | None = None
        self._connection = connection
        self._lock = threading.Lock()
        self.pid = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big")

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        with self._lock:
            if self.returncode is None:
                if not select.select([self._connection], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                reply = self._connection.recv(4, socket.MSG_WAITALL)
                self.returncode = int.from_bytes(reply, "big", signed=True) if reply else -signal.SIGKILL
                self._connection.close()
            return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


COMMANDS = Commands()
SOCKET = "TESTS_SOCKET"
"""Environment variable with `COMMANDS.socket()`, for the program of `write_program`."""
_PROGRAM = f"""#!{sys.executable} -IS
import json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(os.environ[{SOCKET!r}])
asked = json.dumps({{"module": {COMMAND!r}, "arguments": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ), "session": False}}).encode()
socket.send_fds(connection, [len(asked).to_bytes(4, "big")], [1, 2])
connection.sendall(asked)
connection.recv(4, socket.MSG_WAITALL)
sys.exit(int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big", signed=True))
"""


def write_program(path: Path) -> None:
    """Write a program `copydesk` for shells. It runs as a fork, which saves a second of CPU each time."""
    path.write_text(_PROGRAM)
    path.chmod(0o755)


def send(connection: socket.socket, request: dict[str, Any], streams: list[int]) -> None:
    """Send what a forked process becomes, and its standard output and error."""
    given = json.dumps(request).encode()
    socket.send_fds(connection, [len(given).to_bytes(4, "big")], streams)
    connection.sendall(given)


def _read(file) -> str:
    file.seek(0)
    return file.read().decode("utf-8").replace("\r\n", "\n")
