"""Stores the record of an action; see `recording.py`."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from worker.cli.exits import print_message
from worker.cli.local_stack import ServersNotStarted, open_store
from worker.dead_letters.replay import operator
from worker.settings import settings
from worker.store.engine import driver_error, writing
from worker.store.operator_actions import COMMAND, add_action
from worker.telemetry.redaction import mask


def store_action(action: str, subject: str, reason: str) -> None:
    """Do what `record_action` says."""
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
