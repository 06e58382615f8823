"""`copydesk sources`: show the share of rejected documents of each source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from worker.cli.local_stack import open_store
from worker.cli.tables import data_console
from worker.cli.terminal import plain, print_json
from worker.errors import Exit
from worker.monitoring.sources.rejection_stats import SourceStats, source_stats
from worker.queries.rows import iso
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
    stats = source_stats(engine, hours=hours)
    engine.dispose()
    if not json_:
        _print(stats, hours)
        return Exit.OK
    for source in stats:
        print_json(_as_json(source))
    return Exit.OK


def _as_json(source: SourceStats) -> dict[str, object]:
    return {
        "source": source.source,
        "documents": source.documents,
        "rejected": source.rejected,
        "share": source.share,
        "since": iso(source.since),
        "share_before": source.share_before,
        "causes": [
            {**asdict(cause), "first_at": iso(cause.first_at), "last_at": iso(cause.last_at)} for cause in source.causes
        ],
    }


def _print(stats: list[SourceStats], hours: float) -> None:
    if not stats:
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
    for source in stats:
        for row in _rows(source):
            table.add_row(*row)
    data_console().print(table)
    if any(source.causes for source in stats):
        typer.echo("Look at an example:  copydesk dead show EXAMPLE", err=True)


def _rows(source: SourceStats) -> Iterator[tuple[Text | str, ...]]:
    """Yield the row of a source, then one for each of its causes."""
    style = "red" if source.rejected else "dim"
    yield (
        plain(source.source),
        f"{source.documents:,}",
        Text(f"{source.rejected:,}", style=style),
        Text(f"{source.share:.1%}", style=style),
        _time(source.since) if source.since else "-",
        f"{source.share_before:.1%}" if source.share_before is not None and source.rejected else "-",
        "",
    )
    for cause in source.causes[:_SHOWN_CAUSES]:
        first = Text(_time(cause.first_at), style="dim")
        yield Text(f"  {cause.code}", style="dim"), "", f"{cause.documents:,}", "", first, "", str(cause.example)
    if len(source.causes) > _SHOWN_CAUSES:
        yield (Text(f"  … and {len(source.causes) - _SHOWN_CAUSES} more causes (--json shows all)", style="dim"),)


def _time(moment: datetime) -> str:
    return f"{moment:%m-%d %H:%M:%S}"
