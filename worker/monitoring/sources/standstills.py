"""When Copydesk stood still: no worker ran, or none could use the store. Nothing is expected of sources then.

Each roll-up notes that a worker works. A longer pause between two roll-ups is a standstill.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from worker.store.sql.statements import merge
from worker.store.tables import roll_ups, standstills

Period = tuple[float, float]
"""When it began and ended, in seconds since 1970."""
_NAME = "worked"
_SHORTEST = timedelta(minutes=10)
"""Roll-ups are half a minute apart; a restart or a long batch is no standstill."""
_RETENTION = timedelta(days=400)


def note_work(connection: Connection, now: datetime) -> None:
    """Note that a worker works, in a writing transaction; store the standstill that ends with this."""
    position = select(roll_ups.c.until).where(roll_ups.c.name == _NAME).with_for_update()
    worked: datetime | None = connection.scalar(position)
    if worked is not None and now - worked > _SHORTEST:
        merge(connection, standstills, [{"began": worked, "ended": now}], ["began"])
        connection.execute(delete(standstills).where(standstills.c.ended < now - _RETENTION))
    if worked is None or now > worked:
        merge(connection, roll_ups, [{"name": _NAME, "until": now}], ["name"], ["until"])


def read_standstills(connection: Connection) -> list[Period]:
    """Return all standstills of the last year, the oldest first."""
    query = select(standstills.c.began, standstills.c.ended).order_by(standstills.c.began)
    return [(row.began.timestamp(), row.ended.timestamp()) for row in connection.execute(query)]
