"""Turns the sentences that Celery prints past the logging ("worker: Warm shutdown") into log lines."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings

from billiard.util import get_logger
from celery.apps import worker as celery_worker
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning

from worker.settings import Settings
from worker.telemetry import logs

log = logs.get_logger("worker")

# Celery's warning about running as root is a page of text; one line below replaces it.
warnings.filterwarnings("ignore", category=SecurityWarning)
# A warning about acks_late tasks at each loss of the broker. No task here is acks_late.
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)


def as_log_lines(config: Settings) -> None:
    """Redirect Celery's output to the log, in this process.

    Celery prints in signal handlers, so the replacement takes no lock and uses no buffer.
    """

    def write(message: object, stream: object = None) -> None:
        del stream  # Celery chooses stdout, which is for results only
        sentence = str(message).strip().removeprefix("worker: ")
        stderr = sys.__stderr__
        if stderr is not None:
            line = logs.line(sentence, logger="celery.worker", form=config.log_format, stream=stderr)
            with contextlib.suppress(OSError, ValueError):
                os.write(stderr.fileno(), f"{line}\n".encode())

    if os.geteuid() == 0:
        log.warning("The worker runs as root", next="run it as a user of its own, as the container image does")
    # Celery's logger neither propagates nor has a handler, so its lines would be raw text.
    get_logger().propagate = True
    celery_worker.safe_say = write  # type: ignore[attr-defined]  # the stubs do not know it
