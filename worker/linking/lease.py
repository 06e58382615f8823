"""The lease of the linker that leads: renewed while it reads, confirmed in every transaction that writes."""

from __future__ import annotations

import time
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from worker.store.engine import enter_writer
from worker.store.linking import leader

ROLE = "linker"
LEASE_SECONDS = 6.0
"""Another process may lead this long after the leader's last renewal. Every writing transaction renews the lease."""
_RENEW_SECONDS = 1.0


class Lease:
    """The lease that belongs to the fencing token `token`. Its methods raise NoLongerLeader if it was lost."""

    def __init__(self, engine: Engine, token: int) -> None:
        self._engine = engine
        self._token = token
        self._renewed = time.monotonic()

    def renew(self) -> None:
        """Renew the lease, at most once a second, while there is nothing to write."""
        if time.monotonic() - self._renewed > _RENEW_SECONDS:
            leader.renew(self._engine, ROLE, self._token, seconds=LEASE_SECONDS)
            self._renewed = time.monotonic()

    def confirm(self, connection: Connection) -> datetime:
        """Wait for the writer lock and renew the lease in the transaction of `connection`; return the store's time."""
        enter_writer(connection)
        now = leader.confirm(connection, ROLE, self._token, seconds=LEASE_SECONDS)
        self._renewed = time.monotonic()
        return now
