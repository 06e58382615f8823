"""`copydesk db`: the store's schema."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.exits import Exit


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The store's schema: upgrade it, or show where it is.", no_args_is_help=True)
    group.command(epilog="Example: copydesk db upgrade")(upgrade)
    group.command(epilog="Example: copydesk db current")(current)
    app.add_typer(group, name="db")


def upgrade() -> int:
    """Bring the store's schema to what this version needs. Safe to run again, and by several at once."""
    from worker.settings import settings
    from worker.store import migrate

    before = migrate.upgrade(settings())
    typer.echo(f"{before or 'empty'} -> {migrate.head()}")
    return Exit.OK


def current(json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False) -> int:
    """Show the schema that the store has and the one that this version needs."""
    from worker.cli.show import print_json
    from worker.settings import settings
    from worker.store import migrate
    from worker.store.engine import make_engine

    engine = make_engine(settings(), pooled=False)
    with engine.connect() as connection:
        found = migrate.current(connection)
    engine.dispose()
    if json_:
        print_json({"has": found, "needs": migrate.head()})
        return Exit.OK if found == migrate.head() else Exit.UNSOUND
    typer.echo(f"has {found or 'nothing'}, needs {migrate.head()}")
    return Exit.OK if found == migrate.head() else Exit.UNSOUND
