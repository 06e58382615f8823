"""The text of a driver's error, without the values of rows: logs and pages show it."""

from __future__ import annotations

from sqlalchemy.engine import ExceptionContext


def drop_values(error: BaseException) -> None:
    """Shorten the message of a psycopg error to its first line. Other errors stay as they are.

    PostgreSQL quotes whole rows and keys in DETAIL and CONTEXT ("Failing row contains (…)"). They may hold the text of
    a document or a `secured` value. SQLite quotes none.
    """
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    if primary is not None:
        error.args = (primary,)


def drop_values_of(context: ExceptionContext) -> None:
    """Do the same for an error that SQLAlchemy is about to raise (its event `handle_error`)."""
    error = context.original_exception
    drop_values(error)
    if context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.args = (f"({type(error).__module__}.{type(error).__name__}) {error}",)
