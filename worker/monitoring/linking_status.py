"""Reads what the linker has to do, for status and health."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from worker.monitoring.status import LinkingStatus
from worker.store.clock import store_time
from worker.store.receipts import linked_by_an_older_rule, linked_provisionally, waiting_for_links


def read_linking(connection: Connection, *, is_linking: bool) -> LinkingStatus:
    """Return how many articles wait for the linker. `is_linking`: the setting COPYDESK_LINK.

    Raises SQLAlchemy's errors.
    """
    pending, since = waiting_for_links(connection)
    oldest = round(max(0.0, store_time(connection).timestamp() - since.timestamp()), 1) if since else None
    return LinkingStatus(
        is_linking, pending, oldest, linked_provisionally(connection), linked_by_an_older_rule(connection)
    )
