"""`copydesk` with a changed function: the module of a worker, with the arguments `CHANGE worker …`. Tests only."""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Any


def settle_first() -> None:
    """The negative control: entries are settled before the store has committed. The reconciliation must find it."""
    from worker.runtime import connections, ingestion

    process = ingestion.process

    def early(engine: Any, batch: Any, entries: Any, *, end_attempt: Any, begin_attempt: Any) -> Any:
        connections.queue(batch.lane).settle((entry.id, "stored") for entry in entries)
        return process(engine, batch, entries, end_attempt=end_attempt, begin_attempt=begin_attempt)

    ingestion.process = early  # type: ignore[assignment]  # the patch is the point


def poison() -> None:
    """Reading some documents ends the process, as a bug in a C library does; they are recognised by their text."""
    from worker import pipeline

    read = pipeline.read

    def deadly(raw: bytes, **options: Any) -> Any:
        if b"POISON-SEGV" in raw:
            ctypes.string_at(0)
        if b"POISON-LOOP" in raw:
            while True:
                time.sleep(0.01)
        if b"POISON-MEMORY" in raw:
            _exhaust_memory()
        return read(raw, **options)

    pipeline.read = deadly


def _exhaust_memory() -> None:
    """End the process as the kernel's out-of-memory killer does."""
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


CHANGES = {"settle_first": settle_first, "poison": poison}


def main() -> None:
    """Change the function that the first argument names, then run the command."""
    CHANGES[sys.argv.pop(1)]()
    from worker.cli.main import main as run

    run()
