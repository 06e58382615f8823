"""The time that is written to the store. A process's own clock may be days off, so it decides nothing that lasts."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.engine import Connection


def store_time(connection: Connection) -> datetime:
    """The database's time, at this moment of the transaction."""
    if connection.dialect.name == "postgresql":
        found: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return found
    return datetime.now(UTC)  # a SQLite store is used on one machine
