"""Whether the store can be written to: asked while it could not be used."""

from __future__ import annotations

from sqlalchemy import Engine, update

from worker.store.engine import enter_writer, writer
from worker.store.tables import lanes


def probe(engine: Engine) -> None:
    """Take the turn to write and write what is there already. Raises SQLAlchemy's errors.

    A store that is read-only, locked or of the wrong schema answers SELECT 1 gladly.
    """
    with writer(engine) as connection, connection.begin():
        enter_writer(connection)
        connection.execute(update(lanes).values(highest=lanes.c.highest))
