"""Probe whether the store can be written to, after it failed."""

from __future__ import annotations

from sqlalchemy import Engine, update

from worker.store.engine import enter_writer, writer
from worker.store.tables import lanes


def probe(engine: Engine) -> None:
    """Take the writer lock and update rows to their own values. Raises SQLAlchemy's errors.

    `SELECT 1` is not enough: it succeeds on a store that is read-only, locked or of the wrong schema.
    """
    with writer(engine) as connection, connection.begin():
        enter_writer(connection)
        connection.execute(update(lanes).values(highest=lanes.c.highest))
