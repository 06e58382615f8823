"""The figures of one moment: lanes, outcomes, dead letters, and whether the sum comes out."""

from __future__ import annotations

import time
from typing import Any

import redis
from sqlalchemy import Engine

from worker.intake.stream import LeaseQueue, id_key
from worker.settings import Settings
from worker.store import read
from worker.store.work import pending_work


def figures(settings: Settings, client: redis.Redis, engine: Engine) -> dict[str, Any]:
    """Backlog and outcomes of each lane (all from Redis, so their sum holds at every moment), and the store's totals."""
    lanes = []
    for lane in settings.lane_list:
        queue = LeaseQueue(client, lane.name)
        queue.ensure()
        state = queue.state()
        oldest = time.time() - id_key(state.oldest_id)[0] / 1000 if state.oldest_id else None
        lanes.append(
            {
                "lane": lane.name,
                "added": state.added,
                "settled": state.settled,
                "backlog": state.backlog,
                "pending": state.pending,
                "oldest_seconds": round(max(oldest, 0), 1) if oldest is not None else None,
                "outcomes": state.outcomes,
                "missing": state.added - state.settled - state.backlog,
            }
        )
    with engine.connect() as connection:
        return {
            "lanes": lanes,
            "outcomes": read.outcome_counts(connection),
            "dead_letters": read.dead_letter_codes(connection),
            "store": read.totals(connection),
            "behind": read.behind(connection),
            "enriching": pending_work(connection),
        }
