"""When articles were published: the bounds of the linker's window."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from worker.store.tables import articles


def time_before(connection: Connection, moment: float, count: int) -> float:
    """Return the time of the `count`-th article published before a moment; minus infinity if there are fewer."""
    column = articles.c.published_at
    query = select(column).where(column < datetime.fromtimestamp(moment, UTC)).order_by(column.desc())
    found = connection.scalar(query.offset(count).limit(1))
    return found.timestamp() if found else -math.inf


def time_after(connection: Connection, moment: float, count: int) -> float:
    """Return the time of the `count`-th article published after a moment; infinity if there are fewer."""
    column = articles.c.published_at
    query = select(column).where(column > datetime.fromtimestamp(moment, UTC)).order_by(column)
    found = connection.scalar(query.offset(count).limit(1))
    return found.timestamp() if found else math.inf


def count_after(connection: Connection, moment: float) -> int:
    """Return how many articles were published after a moment."""
    later = articles.c.published_at > datetime.fromtimestamp(moment, UTC)
    return int(connection.scalar(select(func.count()).select_from(articles).where(later)) or 0)
