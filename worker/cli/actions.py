"""`copydesk actions`: who did what, when, to what, and why."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from worker.cli.local_stack import open_store
from worker.cli.tables import data_console
from worker.cli.terminal import plain, print_json
from worker.errors import Exit
from worker.settings import settings
from worker.store.operator_actions import read_actions


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk actions --last 20")(actions)


def actions(
    who: Annotated[str, typer.Option(help="only those of this person, as the list shows the name")] = "",
    last: Annotated[int, typer.Option(min=1, max=10_000, help="how many, the newest first")] = 50,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object an action")] = False,
) -> int:
    """Show who paused, replayed, discarded or stopped what, and why.

    Actions in the console, by commands and by the circuit breaker are recorded. They are kept as long as receipts
    (COPYDESK_RECEIPT_DAYS).
    """
    with open_store(settings()).connect() as connection:
        rows = read_actions(connection, who=who, limit=last)
    if json_:
        for row in rows:
            texts = {name: getattr(row, name) for name in ("who", "via", "action", "subject", "reason")}
            print_json({"at": row.at.isoformat(timespec="seconds"), **texts})
        return Exit.OK
    if not rows:
        typer.echo("No action is recorded.")
        return Exit.OK
    table = Table(box=None, show_edge=False, pad_edge=False, header_style="bold dim", padding=(0, 2, 0, 0))
    for name in ("at (UTC)", "who", "action", "on", "reason"):
        table.add_column(name, overflow="fold", no_wrap=name in ("at (UTC)", "action"))
    for row in rows:
        who_ = row.who if row.via == "command" else f"{row.who} ({row.via})"
        table.add_row(f"{row.at:%Y-%m-%d %H:%M:%S}", plain(who_), row.action, plain(row.subject), plain(row.reason))
    data_console().print(table)
    return Exit.OK
