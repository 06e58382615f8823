"""Celery's prefork pool, changed to stop as soon as its batches are done."""

from __future__ import annotations

from celery.concurrency import prefork

from worker.runtime.controller import InnerPool


class TaskPool(prefork.TaskPool):
    """Does not fire Celery's timers while it stops.

    They are half a second apart, and this broker needs no heartbeats.
    """

    _pool: InnerPool | None

    def on_stop(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool.join()
            self._pool = None
