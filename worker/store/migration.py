"""Schema migrations by Alembic, configured in code, without an ini file."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import inspect
from sqlalchemy.engine import Connection

from worker.errors import CopydeskError, Exit
from worker.settings import Settings
from worker.store.engine import enter_writer, make_engine, without_statement_timeout, writer
from worker.store.migrations.schema_version import current, head, is_known


class ForeignDatabase(CopydeskError):
    """Raised when this version cannot upgrade the database: it is another program's or a later version's.

    Nothing changed.
    """

    exit_code = Exit.UNSOUND


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(settings: Settings, *, only_if_empty: bool = False) -> str | None:
    """Upgrade the store to `head`; returns its revision from before.

    The writer lock serialises processes that start at once. `only_if_empty`: create the schema in an empty database,
    and do not upgrade an existing one. Raises ForeignDatabase and SQLAlchemy's errors.
    """
    engine = make_engine(settings, pooled=False)
    try:
        with writer(engine) as connection, connection.begin():
            enter_writer(connection)
            without_statement_timeout(connection)
            before = current(connection)
            if before != head() and (not only_if_empty or before is None):
                if before is None and "articles" in inspect(connection).get_table_names():
                    raise ForeignDatabase(
                        "The database has a table 'articles' that is not Copydesk's: use another database."
                    )
                if before is not None and not is_known(before):
                    raise ForeignDatabase(
                        f"The store's schema is {before}, of a later version of Copydesk than this one: run that one."
                    )
                command.upgrade(_config(connection), "head")
        return before
    finally:
        engine.dispose()
