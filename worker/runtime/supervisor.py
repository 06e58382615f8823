"""Brings up what is not configured (Valkey, SQLite), runs a worker beside it, and stops everything it started."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
import time
from types import TracebackType

from worker.intake.connect import connect
from worker.intake.stream import LeaseQueue
from worker.interrupts import deferred
from worker.observe.logs import get_logger
from worker.operate.checks import enforce
from worker.runtime.restarter import SUPERVISOR
from worker.runtime.shared import SharedValkey
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.migrate import upgrade

log = get_logger("supervisor")

_STOP_SECONDS = 30.0
_START_SECONDS = 10.0
_LONGEST_BACKOFF_SECONDS = 30.0


class Desk:
    """Everything that the one-shot and the all-in-one commands need, as a context manager.

    `with_worker`: whether a worker runs beside it; None: where this process owns the embedded Valkey, as no other does then.
    `must_own`, `port`: see SharedValkey. `stop_seconds`: how long to wait at most for commands that use the Valkey.

    Raises AlreadyRunning, EmbeddedServerError, redis.RedisError or SQLAlchemyError when a server cannot be reached.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        with_worker: bool | None = True,
        worker_log: str | None = None,
        must_own: bool = False,
        port: int = 0,
        stop_seconds: float = float("inf"),
    ) -> None:
        self._settings = settings
        self._valkey = SharedValkey(settings, must_own=must_own, port=port) if settings.redis_url is None else None
        self._stop_seconds = stop_seconds
        self._with_worker = with_worker
        self._worker_log = worker_log
        self._worker: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self.failed_starts = 0
        """How often in a row the worker ended within seconds of its start."""
        self._watch: threading.Thread | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the data directory, or a lock file in it, was removed while this process owned it."""
        return self._valkey is not None and self._valkey.is_lost

    def __enter__(self) -> Desk:
        atexit.register(self.stop)  # whatever an interrupt breaks off, this is done
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self._settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._valkey is not None:
            self._valkey.start()
        if self._with_worker is None:
            self._with_worker = self._valkey is not None and self._valkey.is_owner
        with connect(self._settings.redis) as client:
            client.ping()
            for lane in self._settings.lane_list:
                LeaseQueue(client, lane.name).ensure()
        # A store that nobody else administers is migrated here; a configured one too on its first use (it is empty).
        upgrade(self._settings, only_if_empty=self._settings.database_url is not None)
        self._check()
        if self._with_worker:
            with deferred():
                self._worker = self._spawn()
            self._watch = threading.Thread(target=self._restart_when_it_dies, daemon=True)
            self._watch.start()

    def _check(self) -> None:
        """Where a worker is to run, the servers must be fit; else it is enough that the store can be reached."""
        engine = make_engine(self._settings, pooled=False)
        if self._with_worker:
            with connect(self._settings.redis) as client:
                enforce(client, engine)
        else:
            engine.connect().close()
        engine.dispose()

    def _spawn(self) -> subprocess.Popen[bytes]:
        # It stops when this process is gone: the next owner starts a worker of its own.
        environment = {
            **os.environ,
            "COPYDESK_DATA_DIR": str(self._settings.data_dir.absolute()),
            SUPERVISOR: str(os.getpid()),
        }
        command = [sys.executable, "-m", "worker.cli.main", "worker", "--no-supervised"]
        if self._worker_log is None:
            return subprocess.Popen(command, env=environment, start_new_session=True)
        with open(self._worker_log, "ab") as log_file:  # noqa: PTH123  the path is a setting's text
            return subprocess.Popen(command, env=environment, start_new_session=True, stdout=log_file, stderr=log_file)

    def _restart_when_it_dies(self) -> None:
        backoff = 0.5
        while not self._ended.is_set():
            worker, started = self._worker, time.monotonic()
            if worker is None:
                return
            while worker.poll() is None:
                if self._ended.wait(0.2):
                    return
            if self._ended.is_set():
                return
            lived = time.monotonic() - started
            self.failed_starts = self.failed_starts + 1 if lived < _START_SECONDS else 0
            backoff = 0.5 if lived > 60 else min(backoff * 2, _LONGEST_BACKOFF_SECONDS)
            log.error(
                "The worker ended", error=f"exit code {worker.returncode}", next=f"it starts again in {backoff:.0f} s"
            )
            if not self._ended.wait(backoff):
                self._worker = self._spawn()

    def stop(self) -> None:
        """Stop the worker warmly, then the server; only what was started here."""
        try:
            if self._valkey is not None:
                self._valkey.wait_for_users(self._stop_seconds)
        finally:
            with deferred():
                self._stop_worker()
                if self._valkey is not None:
                    self._valkey.stop()
                atexit.unregister(self.stop)

    def _stop_worker(self) -> None:
        self._ended.set()
        if self._watch is not None:
            self._watch.join(timeout=5)
        if self._worker is not None and self._worker.poll() is None:
            self._worker.terminate()
            try:
                self._worker.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._worker.pid, 9)
                self._worker.wait()
        self._worker = None
