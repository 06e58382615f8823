"""Leader election: a row with a fencing token and an expiry, in the database that the leader writes to.

A leader that was suspended past its expiry may resume and write. So each of its transactions checks the token, which is
greater for each new leader. Times come from the database, because the clocks of machines differ.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from worker.store.clock import store_time
from worker.store.engine import writer
from worker.store.tables import leaders


class NoLongerLeader(Exception):
    """Raised when another process leads now. The transaction must not commit."""


def acquire(engine: Engine, role: str, holder: str, *, seconds: float) -> int | None:
    """Become leader of `role` for `seconds`; returns the fencing token, or None while another process leads."""
    try:
        with writer(engine) as connection, connection.begin():
            return _take(connection, role, holder, seconds)
    except IntegrityError:
        return None  # two processes inserted the first row at once, and the other was faster


def _take(connection: Connection, role: str, holder: str, seconds: float) -> int | None:
    row = connection.execute(select(leaders).where(leaders.c.role == role).with_for_update()).first()
    now = store_time(connection)
    values = {"holder": holder, "expires_at": now + timedelta(seconds=seconds)}
    if row is None:
        connection.execute(insert(leaders).values(role=role, token=1, **values))
        return 1
    if row.expires_at > now:
        return None
    connection.execute(update(leaders).where(leaders.c.role == role).values(token=row.token + 1, **values))
    return int(row.token) + 1


def confirm(connection: Connection, role: str, token: int, *, seconds: float) -> datetime:
    """Check in a writing transaction that `token` still leads, and extend its lead to `seconds` from now.

    Returns the current time. The row stays locked until the transaction ends. Raises NoLongerLeader.
    """
    now = store_time(connection)
    own = update(leaders).where(leaders.c.role == role, leaders.c.token == token)
    if connection.execute(own.values(expires_at=now + timedelta(seconds=seconds))).rowcount != 1:
        raise NoLongerLeader(f"token {token} of {role} is not the newest any more")
    return now


def renew(engine: Engine, role: str, token: int, *, seconds: float) -> None:
    """Extend the lead to `seconds` from now, in a transaction of its own. Raises NoLongerLeader."""
    with writer(engine) as connection, connection.begin():
        confirm(connection, role, token, seconds=seconds)


def resign(engine: Engine, role: str, token: int) -> None:
    """End the lead, so that another process can lead at once. Does nothing if `token` does not lead."""
    with writer(engine) as connection, connection.begin():
        mine = (leaders.c.role == role) & (leaders.c.token == token)
        connection.execute(update(leaders).where(mine).values(expires_at=store_time(connection)))
