"""Waits for the linker at the end of `ingest`."""

from __future__ import annotations

import time

from sqlalchemy import func, select

from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.links import pending_count
from worker.store.tables import stories

LONGEST_SECONDS = 60.0


def wait_until_linked(config: Settings) -> tuple[int, int]:
    """Wait up to 60 seconds until no article waits for the linker; return (stories, articles that still wait)."""
    engine = make_engine(config, pooled=False)
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        with engine.connect() as connection:
            waiting = pending_count(connection)
            if not waiting or time.monotonic() > deadline:
                told = connection.scalar(select(func.count()).select_from(stories).where(stories.c.size > 1)) or 0
                break
        time.sleep(0.05)
    engine.dispose()
    return told, waiting
