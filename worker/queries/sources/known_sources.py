"""Whether documents of a source are known, so that a mistyped name is noticed."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.engine import Connection

from worker.store.sources.source_hours import rolled_up_until
from worker.store.tables import receipts, source_rhythms

_START = datetime(1970, 1, 1, tzinfo=UTC)


def is_known_source(connection: Connection, source: str) -> bool:
    """Return whether a document of the source has an outcome. Sources that were silent for very long are forgotten."""
    if connection.scalar(select(source_rhythms.c.source).where(source_rhythms.c.source == source).limit(1)) is not None:
        return True
    since = rolled_up_until(connection) or _START
    recent = select(receipts.c.id).where(receipts.c.settled_at >= since, receipts.c.source == source)
    return connection.scalar(recent.limit(1)) is not None
