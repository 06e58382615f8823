"""Adds changed stories to the change feed.

The store marks a story as not announced in the transaction that changes it, so a crash loses no announcement.
"""

from __future__ import annotations

import redis
from sqlalchemy import Engine

from schemas.change import Change
from worker.activity.change_feed import publish
from worker.store.engine import enter_writer, writer
from worker.store.linking import stories

_PAGE = 500


def announce(engine: Engine, client: redis.Redis) -> int:
    """Add up to 500 stories that are not announced to the change feed; return how many.

    A crash before they are marked as announced announces them again. Raises redis.RedisError and SQLAlchemy's errors.
    """
    with engine.begin() as connection:  # commits, because a rollback drops all prepared statements
        rows = stories.unannounced(connection, _PAGE)
    if not rows:
        return 0
    publish(
        client,
        (
            Change(
                what="story",
                id=row.id,
                outcome="changed" if row.size else "ended",
                url=row.canonical_url,
                at=row.changed_at,
            )
            for row in rows
        ),
    )
    with writer(engine) as connection, connection.begin():
        enter_writer(connection)
        stories.mark_announced(connection, rows)
    return len(rows)
