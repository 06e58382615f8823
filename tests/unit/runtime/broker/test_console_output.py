"""Output of Celery and billiard that bypasses logging."""

from __future__ import annotations

import io
import json
import logging

from billiard import util

from worker.runtime.broker import console_output
from worker.settings import Settings
from worker.telemetry import logs


def test_the_end_of_a_pool_process_is_logged_in_the_common_form(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(console_output.celery_worker, "safe_say", None)
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    try:
        logs.configure(form="json", stream=out)
        console_output.as_log_lines(Settings())
        util.error("Process %r exited with %r", "ForkPoolWorker-1", "exitcode 15")
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
    (logged,) = [json.loads(line) for line in out.getvalue().splitlines() if "ForkPoolWorker" in line]
    assert (logged["level"], logged["event"]) == ("error", "Process 'ForkPoolWorker-1' exited with 'exitcode 15'")
