"""Do the work that batches leave, step by step beside live batches: heat, images, names, re-enrichment, retractions."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from worker.heat_rules import AllRules
from worker.store.background import work_rows
from worker.store.background.steps import work_step
from worker.store.engine import driver_error
from worker.telemetry.logs import get_logger

log = get_logger("ingest")

_PAUSE_SECONDS = 0.01


def complete(
    engine: Engine, rules: AllRules, *, seconds: float, advance: Callable[[int], None] = lambda _: None
) -> bool:
    """Do pending work for about `seconds`; returns whether all is done.

    `advance` gets the count of articles of each step. Each step is a transaction of its own, so the work can stop at
    any time and continue in another process. Raises SQLAlchemy's errors.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done = work_step(engine, rules)
        if done is None:
            return True
        advance(done)
        if done == 0:
            time.sleep(_PAUSE_SECONDS)  # another process does a step
    return False


def is_work_left(engine: Engine) -> bool:
    """Return whether any work is pending."""
    with engine.connect() as connection:
        return work_rows.is_work_left(connection)


def step_after_batch(engine: Engine, rules: AllRules) -> None:
    """Do one step of the work that a batch left, if no other process is at it.

    What is left, also after an error of the store, is done by `complete`, which reports the error.
    """
    try:
        work_step(engine, rules)
    except SQLAlchemyError as error:
        log.debug("A step of background work failed", error=str(driver_error(error)))
