"""The time that is written to the store.

A process's own clock may be wrong by days, so it is not used for stored times.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.engine import Connection


def store_time(connection: Connection) -> datetime:
    """Return the database's current time (not that of the transaction's beginning), in UTC."""
    if connection.dialect.name == "postgresql":
        found: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return found
    return datetime.now(UTC)  # a SQLite store is used on one machine
