"""Turns the sentences that Celery prints past the logging ("worker: Warm shutdown") into log lines."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from typing import Any

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

    def write(message: Any, stream: Any = None) -> None:
        del stream  # Celery chooses stdout, which is for results only
        sentence = str(message).strip().removeprefix("worker: ")
        with contextlib.suppress(OSError, ValueError, AttributeError):
            line = logs.line(sentence, logger="celery.worker", form=config.log_format, stream=sys.__stderr__)
            os.write(sys.__stderr__.fileno(), f"{line}\n".encode())  # type: ignore[union-attr]  # None: suppressed

    if os.geteuid() == 0:
        log.warning("The worker runs as root", next="give it a user of its own, as the container image does")
    # Celery's logger neither propagates nor has a handler, so its lines would be raw text.
    get_logger().propagate = True
    celery_worker.safe_say = write  # type: ignore[attr-defined]  # the stubs do not know it
