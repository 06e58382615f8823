"""Tells the user that a source is unknown."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from worker.cli.exits import print_message
from worker.cli.local_stack import ServersNotStarted, open_store
from worker.cli.terminal import plain
from worker.queries.sources.known_sources import is_known_source
from worker.settings import settings


def hint_if_unknown(source: str) -> None:
    """Print a hint if no document of the source is known. Without a usable store nothing is printed."""
    try:
        engine = open_store(settings())
        with engine.connect() as connection:
            is_known = is_known_source(connection, source)
        engine.dispose()
    except (ServersNotStarted, SQLAlchemyError):
        return
    if not is_known:
        print_message(
            f"No document of source {plain(source)} has an outcome yet: check the name (copydesk sources --all)."
        )
