"""`copydesk losses`: show where the documents of each site went."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from worker.cli.local_stack import open_store
from worker.cli.options import refuse_nan
from worker.cli.progress import progress
from worker.cli.tables import data_console
from worker.cli.terminal import OUTCOMES, plain, print_json
from worker.errors import Exit
from worker.queries.sources.losses import SiteLosses
from worker.queries.sources.losses import losses as read_losses
from worker.settings import settings

_SHOWN_CODES = 3


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk losses --hours 48")(losses)


def losses(
    site: Annotated[str | None, typer.Option(help="only this site (a provider's domain)")] = None,
    source: Annotated[str | None, typer.Option(help="only documents of this source")] = None,
    hours: Annotated[float, typer.Option(callback=refuse_nan, min=0.1, max=24 * 366, help="how far to look back")] = 24,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a site")] = False,
) -> int:
    """Show where the documents of each site went.

    For each site: the documents received, by outcome; the rejected ones by code; and the articles that wait for the linker.
    """
    engine = open_store(settings())
    with engine.connect() as connection, progress(None, "counting"):
        found = read_losses(connection, datetime.now(UTC) - timedelta(hours=hours), site=site, source=source)
    engine.dispose()
    if json_:
        for one in found:
            print_json({**asdict(one), "outcomes": dict(one.outcomes), "codes": dict(one.codes.most_common())})
    elif not found:
        typer.echo(f"No document got an outcome in the last {hours:g} hours.")
    else:
        data_console().print(_table(found))
    return Exit.OK


def _table(found: list[SiteLosses]) -> Table:
    table = Table(box=None, expand=True, show_edge=False, pad_edge=False, header_style="bold dim", padding=(0, 1, 0, 0))
    table.add_column("SITE", no_wrap=True, overflow="ellipsis", ratio=1)
    outcomes = [name for name in OUTCOMES if name == "rejected" or any(one.outcomes[name] for one in found)]
    for name in ("received", *outcomes, "unlinked"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        counts = [f"{one.outcomes[name]:,}" if one.outcomes[name] else "-" for name in outcomes]
        table.add_row(
            plain(one.site or "(no URL)"), f"{one.received:,}", *counts, f"{one.unlinked:,}" if one.unlinked else "-"
        )
        for code, count in one.codes.most_common(_SHOWN_CODES):
            cells = [Text(f"{count:,}", style="red") if name == "rejected" else "" for name in outcomes]
            table.add_row(Text(f"  {code}", style="dim"), "", *cells, "")
    return table
