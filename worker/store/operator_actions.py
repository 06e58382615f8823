"""The log of actions of operators and of the circuit breaker: who did what, when, to what, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.engine import Connection

from worker.store.clock import store_time
from worker.store.service_tables import operator_actions

CONSOLE, COMMAND, WORKER = "console", "command", "worker"
"""Where an action is done."""
BREAKER = "breaker"
"""Who acts where the circuit breaker does."""
_MAX_TEXT = 500  # characters of each text


def add_action(connection: Connection, who: str, via: str, action: str, subject: str, reason: str = "") -> None:
    """Record an action of `who`, done with the console, a command or by a worker (`via`), on `subject`.

    `action`: in the words of the commands, like `lane pause`. Never give it texts of documents, tokens or secrets.
    """
    texts = {"who": who, "subject": subject, "reason": reason}
    values = {name: text[:_MAX_TEXT].replace("\0", "\ufffd") for name, text in texts.items()}
    row = {**values, "via": via, "action": action, "at": store_time(connection)}
    connection.execute(insert(operator_actions).values(**row))


def read_actions(
    connection: Connection, *, who: str = "", before: int | None = None, limit: int = 50
) -> Sequence[Row[Any]]:
    """Return the newest actions first: of one person, and those with a smaller id than `before`."""
    columns = operator_actions.c
    query = select(operator_actions).order_by(columns.id.desc()).limit(limit)
    if who:
        query = query.where(columns.who == who)
    if before is not None:
        query = query.where(columns.id < before)
    return connection.execute(query).all()
