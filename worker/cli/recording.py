"""Records what a command changed, for `copydesk actions` and the console."""

from __future__ import annotations


def record_action(action: str, subject: str, reason: str = "") -> None:
    """Record an action that is done. If the store cannot be used, say so: the action stays done.

    Without a store that could hold the record (nothing has run in this folder), nothing is recorded.
    """
    # Here, so that commands of the same module that only read do not import SQLAlchemy.
    from worker.cli.stored_action import store_action

    store_action(action, subject, reason)
