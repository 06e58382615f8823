"""Celery prints a few sentences past the logging ("worker: Warm shutdown"); here they become log lines like all others."""

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

# That it runs as root, in a page of text: it is said below in one line.
warnings.filterwarnings("ignore", category=SecurityWarning)
# What happens to acks_late tasks when the broker is lost, at each loss: nothing here is acks_late.
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)


def as_log_lines(config: Settings) -> None:
    """From now on, in this process. They are said in signal handlers, so nothing here takes a lock or uses a buffer."""

    def write(message: Any, stream: Any = None) -> None:
        del stream  # Celery's choice is standard output, where no log belongs
        sentence = str(message).strip().removeprefix("worker: ")
        with contextlib.suppress(OSError, ValueError, AttributeError):
            line = logs.line(sentence, logger="celery.worker", form=config.log_format, stream=sys.__stderr__)
            os.write(sys.__stderr__.fileno(), f"{line}\n".encode())  # type: ignore[union-attr]  # None: suppressed

    if os.geteuid() == 0:
        log.warning("The worker runs as root", next="give it a user of its own, as the container image does")
    # Its logger hands nothing on and has no handler, so its lines would be raw text.
    get_logger().propagate = True
    celery_worker.safe_say = write  # type: ignore[attr-defined]  # the stubs do not know it
