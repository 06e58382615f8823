"""Re-enrich articles after reference documents changed, step by step beside live batches."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Engine

from worker.heat_rules import AllRules
from worker.store.apply.reenrichment_step import work_step
from worker.store.apply.work import next_work
from worker.store.clock import store_time
from worker.store.engine import writer


def complete(
    engine: Engine, rules: AllRules, *, seconds: float, advance: Callable[[int], None] = lambda _: None
) -> bool:
    """Do pending work for about `seconds`; returns whether all is done.

    `advance` gets the count of articles of each step. Each step is a transaction of its own, so the work can stop at
    any time and continue in another process. The step takes the writer lock. Raises SQLAlchemy's errors.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with writer(engine) as connection, connection.begin():
            done = work_step(connection, store_time(connection), rules)
        if done is None:
            return True
        advance(done)
    return False


def is_work_left(engine: Engine) -> bool:
    """Return whether any work is pending."""
    with engine.connect() as connection:
        return next_work(connection) is not None
