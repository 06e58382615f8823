"""Celery bootstep for the linker: a child process beside the pool, restarted if it dies, stopped with the worker."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from celery import bootsteps

from worker.runtime.controller import Controller
from worker.runtime.supervision.restarts import Backoff, keep_running, wait_for_end
from worker.settings import settings
from worker.telemetry.logs import get_logger

log = get_logger("link")

_STOP_SECONDS = 12.0  # its current transaction may take as long as the store's time-out


class Linking(bootsteps.StartStopStep):
    """Starts the linker with the worker, and stops it before the pool stops."""

    requires = ("celery.worker.components:Pool",)
    child: LinkerChild | None = None

    def start(self, parent: Controller) -> None:
        if settings().link:
            self.child = LinkerChild()
            self.child.start()

    def stop(self, parent: Controller) -> None:
        if self.child is not None:
            self.child.stop()

    terminate = stop


class LinkerChild(threading.Thread):
    """Restarts the linker process when it ends. The linker itself ends when its parent is gone."""

    def __init__(self) -> None:
        super().__init__(name="copydesk-linking", daemon=True)
        self._ended = threading.Event()
        self._process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "worker.linking.process", str(os.getpid())]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def run(self) -> None:
        keep_running(self._wait_for_process, self._report_end, self._ended.wait, backoff=Backoff())

    def _report_end(self, code: int, wait: float) -> None:
        log.error("The linker ended", error=f"exit code {code}", next=f"it starts again in {wait:.0f} s")

    def _wait_for_process(self) -> int | None:
        if self._process.poll() is not None:
            self._process = self._spawn()
        return wait_for_end(self._process, self._ended)

    def stop(self) -> None:
        """End the linker; returns when it has ended."""
        self._ended.set()
        self.join(timeout=5)
        self._process.terminate()
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
