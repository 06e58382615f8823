"""Starts what is not configured (Valkey, SQLite), runs a worker beside it, and stops everything that it started."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from types import TracebackType

from worker.interrupts import deferred
from worker.monitoring.servers.server_checks import enforce
from worker.queue.connection import connect
from worker.queue.lease_queue import LeaseQueue
from worker.queue.replies import suppress_wrong_type
from worker.runtime.embedded.shared import SharedValkey
from worker.runtime.supervision.restarter import SUPERVISOR, report_end
from worker.runtime.supervision.restarts import Backoff, keep_running, wait_for_end
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.migration import upgrade
from worker.telemetry.logs import get_logger

log = get_logger("supervisor")

_STOP_SECONDS = 30.0


class LocalStack:
    """The servers and the worker of the one-shot and all-in-one commands, as a context manager.

    `with_worker`: whether a worker is started; None: only if this process owns the embedded Valkey. `must_own`, `port`:
    see `SharedValkey`. `stop_seconds`: the longest wait for other commands that use the Valkey. Raises AlreadyRunning,
    EmbeddedServerError, redis.RedisError or SQLAlchemyError when a server cannot be reached.
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
        self._backoff = Backoff()
        self._watch: threading.Thread | None = None

    @property
    def failed_starts(self) -> int:
        """How often in a row the worker ended within seconds of its start."""
        return self._backoff.failed_starts

    @property
    def is_lost(self) -> bool:
        """Whether the data directory, or a lock file in it, was removed while this process owned it."""
        return self._valkey is not None and self._valkey.is_lost

    def __enter__(self) -> LocalStack:
        atexit.register(self.stop)  # also stops everything after an interrupt
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
                with suppress_wrong_type():  # the dispatcher and the commands report it
                    LeaseQueue(client, lane.name).ensure()
        # An embedded store is always migrated here, a configured one only while it is empty (its first use).
        upgrade(self._settings, only_if_empty=self._settings.database_url is not None)
        self._check()
        if self._with_worker:
            with deferred():
                self._worker = self._spawn()
            self._watch = threading.Thread(
                target=keep_running,
                args=(self._run_worker, report_end, self._ended.wait),
                kwargs={"backoff": self._backoff},
                daemon=True,
            )
            self._watch.start()

    def _check(self) -> None:
        """Check that the servers are fit for a worker if one will run; otherwise only that the store can be reached."""
        engine = make_engine(self._settings, pooled=False)
        if self._with_worker:
            with connect(self._settings.redis) as client:
                enforce(client, engine)
        else:
            engine.connect().close()
        engine.dispose()

    def _spawn(self) -> subprocess.Popen[bytes]:
        # The worker stops when this process is gone: the next owner starts a worker of its own.
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

    def _run_worker(self) -> int | None:
        """Wait for the worker, starting it if it has ended; return its exit code, or None when it must stop."""
        if self._worker is None or self._worker.poll() is not None:
            self._worker = self._spawn()
        return wait_for_end(self._worker, self._ended)

    def stop(self) -> None:
        """Wait for other users of the Valkey, stop the worker warmly, then the server.

        Stops only what was started here.
        """
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
