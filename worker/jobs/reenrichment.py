"""Does the enrichment that changes of reference documents leave behind, step by step beside live work."""

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
    """Work for at most `seconds`; returns whether all is done. `advance` is told of the articles of each step.

    Each step is a transaction of its own, so that it may end at any time and go on elsewhere. Raises SQLAlchemy's errors.
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
    """Whether there is anything to complete."""
    with engine.connect() as connection:
        return next_work(connection) is not None
