"""A table whose rows the database refuses."""

from __future__ import annotations

from sqlalchemy import Engine, text


def refuse_rows(engine: Engine, table: str) -> None:
    """Let the database refuse each new row of `table`. The message of the error contains "refused"."""
    statement = (
        f"CREATE TRIGGER refuse BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'refused'); END"
        if engine.dialect.name == "sqlite"
        else f"ALTER TABLE {table} ADD CONSTRAINT refused CHECK (false) NOT VALID"
    )
    with engine.begin() as connection:
        connection.execute(text(statement))
