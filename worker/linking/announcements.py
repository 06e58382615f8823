"""Stories that changed, put on the change feed: marked in the store first, so that none is forgotten by a crash."""

from __future__ import annotations

import redis
from sqlalchemy import Engine

from schemas.change import Change
from worker.activity.change_feed import publish
from worker.store.apply import stories
from worker.store.engine import enter_writer, writer

_PAGE = 500


def announce(engine: Engine, client: redis.Redis) -> int:
    """Put what the feed has not carried on it; returns how many. Raises redis.RedisError and SQLAlchemy's errors."""
    with engine.begin() as connection:  # a rollback would cost all prepared statements
        rows = stories.unannounced(connection, _PAGE)
    if not rows:
        return 0
    publish(
        client,
        (
            Change(
                what="story", id=row.id, outcome="changed" if row.size else "ended", url=row.canonical_url,
                at=row.changed_at,
            )
            for row in rows
        ),
    )  # fmt: skip
    with writer(engine) as connection, connection.begin():
        enter_writer(connection)
        stories.mark_announced(connection, rows)
    return len(rows)
