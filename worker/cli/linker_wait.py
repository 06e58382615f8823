"""Waits for the linker at the end of `ingest`."""

from __future__ import annotations

import time

from sqlalchemy import Engine, func, select

from worker.cli.progress import progress
from worker.store.linking.link_states import pending_count
from worker.store.tables import stories

LONGEST_SECONDS = 60.0


def wait_until_linked(engine: Engine) -> tuple[int, int]:
    """Wait up to 60 seconds until no article waits for the linker; return (stories, articles that still wait)."""
    deadline = time.monotonic() + LONGEST_SECONDS
    with engine.connect() as connection:
        waiting = total = pending_count(connection)
    with progress(total, "articles linked") as advance:
        while waiting and time.monotonic() < deadline:
            time.sleep(0.05)
            with engine.connect() as connection:
                waiting = pending_count(connection)
            advance(total - waiting)
    with engine.connect() as connection:
        count = connection.scalar(select(func.count()).select_from(stories).where(stories.c.size > 1)) or 0
    return int(count), waiting
