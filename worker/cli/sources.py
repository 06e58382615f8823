"""`copydesk sources`: show the share of rejected documents of each source."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from worker.cli.local_stack import open_store
from worker.cli.tables import data_console
from worker.cli.terminal import plain, print_json
from worker.errors import Exit
from worker.monitoring.rejection_stats import Producer, producers
from worker.settings import settings

_SHOWN_CAUSES = 5


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk sources --hours 48")(sources)


def sources(
    hours: Annotated[float, typer.Option(min=0.1, max=24 * 366, help="how far to look back")] = 24,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a source")] = False,
) -> int:
    """Show which sources send rejected documents, and why.

    For each source: the share of rejected documents, since when it is so, and the causes with an example of each.
    """
    engine = open_store(settings())
    found = producers(engine, hours=hours)
    engine.dispose()
    if not json_:
        _print(found, hours)
        return Exit.OK
    for producer in found:
        print_json({
            "source": producer.source, "documents": producer.documents, "rejected": producer.rejected,
            "share": producer.share, "since": producer.since.isoformat() if producer.since else None,
            "share_before": producer.share_before,
            "causes": [{**cause, "first_at": cause["first_at"].isoformat(), "last_at": cause["last_at"].isoformat()}
                       for cause in producer.causes],
        })  # fmt: skip
    return Exit.OK


def _print(found: list[Producer], hours: float) -> None:
    if not found:
        typer.echo(f"No document got an outcome in the last {hours:g} hours.")
        return
    table = Table(box=None, expand=True, show_edge=False, pad_edge=False, header_style="bold dim", padding=(0, 1, 0, 0))
    for name in ("SOURCE", "documents", "rejected", "share", "since (UTC)", "before", "example"):
        # The name takes the remaining width.
        table.add_column(
            name,
            justify="left" if name in ("SOURCE", "since (UTC)") else "right",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if name == "SOURCE" else None,
        )
    for producer in found:
        bad = "red" if producer.rejected else "dim"
        before = "-" if producer.share_before is None else f"{producer.share_before:.1%}"
        since = f"{producer.since:%m-%d %H:%M:%S}" if producer.since else "-"
        table.add_row(plain(producer.source), f"{producer.documents:,}", Text(f"{producer.rejected:,}", style=bad),
                      Text(f"{producer.share:.1%}", style=bad), since, before if producer.rejected else "-", "")  # fmt: skip
        for cause in producer.causes[:_SHOWN_CAUSES]:
            table.add_row(Text(f"  {cause['code']}", style="dim"), "", f"{cause['documents']:,}", "",
                          Text(f"{cause['first_at']:%m-%d %H:%M:%S}", style="dim"), "", str(cause["example"]))  # fmt: skip
        if len(producer.causes) > _SHOWN_CAUSES:
            table.add_row(
                Text(f"  … and {len(producer.causes) - _SHOWN_CAUSES} more causes (--json shows all)", style="dim")
            )
    data_console().print(table)
    if any(producer.causes for producer in found):
        typer.echo("Look at an example:  copydesk dead show EXAMPLE", err=True)
