"""Records what a command changed, for `copydesk actions` and the console."""

from __future__ import annotations

from worker.cli.exits import print_message
from worker.cli.local_stack import ServersNotStarted, open_store
from worker.settings import settings
from worker.telemetry.redaction import mask


def record_action(action: str, subject: str, reason: str = "") -> None:
    """Record an action that is done. If the store cannot be used, say so: the action stays done.

    Without a store that could hold the record (nothing has run in this folder), nothing is recorded.
    """
    # Here, so that commands of the same module that only read do not import SQLAlchemy.
    from sqlalchemy.exc import SQLAlchemyError

    from worker.dead_letters.replay import operator
    from worker.store.engine import driver_error, writing
    from worker.store.operator_actions import COMMAND, add_action

    try:
        engine = open_store(settings())
        with writing(engine) as connection:
            add_action(connection, operator(), COMMAND, action, subject, reason)
        engine.dispose()
    except ServersNotStarted:
        return
    except SQLAlchemyError as error:
        text = " ".join(mask(str(driver_error(error))).split())
        print_message(f"copydesk: it is done, but it could not be recorded in the store: {text}")
