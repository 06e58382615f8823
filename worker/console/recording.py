"""Records what a user of the console did. The pages call it when it is done."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from worker.console.context import ConsoleContext
from worker.console.request_context import RequestContext
from worker.dead_letters.replay import operator
from worker.store.engine import driver_error, writing
from worker.store.operator_actions import CONSOLE, add_action
from worker.telemetry.logs import get_logger

log = get_logger("console")


def actor(console: ConsoleContext, context: RequestContext) -> str:
    """Return who acts: the user's name, else the address that sent the console's token, else the user of this process."""
    if context.session.user:
        return context.session.user
    client = context.request.client
    return f"console, from {client.host if client else 'unknown'}" if console.sessions.needs_token else operator()


def record(console: ConsoleContext, context: RequestContext, action: str, subject: str, reason: str = "") -> None:
    """Record an action that is done, in the store and in the log. If the store cannot be used, only the log has it."""
    who = actor(console, context)
    log.info("An operator acted", who=who, action=action, subject=subject)
    try:
        with writing(console.engine) as connection:
            add_action(connection, who, CONSOLE, action, subject, reason)
    except SQLAlchemyError as error:
        log.warning(
            "An action could not be recorded",
            who=who,
            action=action,
            subject=subject,
            error=str(driver_error(error)),
            next="it is done; copydesk actions does not show it",
        )
