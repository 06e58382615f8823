"""`copydesk sources`: show what each source sends, what is missing and what is rejected."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from worker.cli.local_stack import open_store
from worker.cli.options import refuse_nan
from worker.cli.progress import progress
from worker.cli.tables import data_console
from worker.cli.terminal import plain, print_json
from worker.errors import Exit
from worker.monitoring.sources.alarm import MAX_SENTENCES
from worker.monitoring.sources.overview import SourceOverview, overview
from worker.monitoring.sources.rejection_stats import SourceStats, source_stats
from worker.queries.rows import iso
from worker.settings import settings
from worker.telemetry.durations import duration_text

_SHOWN_CAUSES = 5
_MAX_SOURCES = 100_000
"""How many sources are read; each takes about a kilobyte."""
_SHOWN_SOURCES = 20
_SHOWN_ALARMS = MAX_SENTENCES
_SHOW_ALL = "copydesk sources --all"


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk sources --hours 48")(sources)


def sources(
    hours: Annotated[
        float, typer.Option(callback=refuse_nan, min=0.1, max=24 * 366, help="how far to look back for rejections")
    ] = 24,
    source: Annotated[str | None, typer.Option(help="only this source, with each of its sites")] = None,
    all_: Annotated[bool, typer.Option("--all", help="show all sources and alarms")] = False,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a source, all of them")] = False,
) -> int:
    """Show what each source sends, and what is missing or rejected.

    For each source: when it was last heard, its usual gap, the documents of today (UTC) and how many were expected, and
    its alarms. Then the share of rejected documents, since when it is so, and the causes with an example of each. It shows
    those with alarms first, then those that send most.
    """
    engine = open_store(settings())
    with progress(None, "counting"):
        heard = overview(engine, source=source, limit=_MAX_SOURCES)
        stats = [one for one in source_stats(engine, hours=hours) if source in (None, one.source)]
    engine.dispose()
    if not json_:
        _print_overview(heard, is_limited=not all_)
        _print(stats, hours, is_limited=not all_)
        return Exit.OK
    by_source = {one.source: one for one in heard if not one.site}
    known = {one.source for one in stats}
    for one in (*stats, *(SourceStats(name) for name in by_source if name not in known)):
        sites = [_rhythm(site) for site in heard if source is not None and site.site]
        print_json(_as_json(one, by_source.get(one.source)) | ({"sites": sites} if source is not None else {}))
    return Exit.OK


def _rhythm(one: SourceOverview | None) -> dict[str, object]:
    if one is None:  # it is not rolled up yet
        return {"last_at": None, "usual_gap": None, "received_today": None, "expected_today": None, "alarms": []}
    return {
        **({"site": one.site} if one.site else {}),
        "last_at": iso(one.last_at),
        "usual_gap": one.usual_gap,
        "received_today": one.received_today,
        "expected_today": one.expected_today,
        "alarms": [alarm.to_json() for alarm in one.alarms],
    }


def _as_json(source: SourceStats, one: SourceOverview | None) -> dict[str, object]:
    return {
        "source": source.source,
        **_rhythm(one),
        "documents": source.documents,
        "rejected": source.rejected,
        "share": source.share,
        "since": iso(source.since),
        "share_before": source.share_before,
        "causes": [
            {**asdict(cause), "first_at": iso(cause.first_at), "last_at": iso(cause.last_at)} for cause in source.causes
        ],
    }


def _print_overview(heard: list[SourceOverview], *, is_limited: bool) -> None:
    if not heard:
        return
    now = time.time()
    alarms = [alarm for one in heard for alarm in one.alarms]
    for alarm in alarms[: _SHOWN_ALARMS if is_limited else None]:
        data_console().print(Text(f"! {plain(alarm.sentence(now))}", style="bold red"), soft_wrap=True)
    if is_limited and len(alarms) > _SHOWN_ALARMS:
        rest = f"! … and {len(alarms) - _SHOWN_ALARMS:,} more alarms: {_SHOW_ALL}"
        data_console().print(Text(rest, style="bold red"), soft_wrap=True)
    names = ("SOURCE", "last heard", "usual gap", "today", "expected", "rejected", "alarm")
    table = _table(names, left=(0, 6))
    ranked = sorted(heard, key=lambda one: (one.site != "", not one.alarms, -one.received_today))
    shown = ranked[:_SHOWN_SOURCES] if is_limited else heard
    for one in shown:
        table.add_row(*_overview_row(one, now))
    data_console().print(table)
    _print_rest(len(heard) - len(shown))
    data_console().print()


def _overview_row(one: SourceOverview, now: float) -> tuple[Text | str, ...]:
    return (
        plain(f"  {one.site}" if one.site else one.source or "(none)"),
        duration_text(max(0.0, now - one.last_at.timestamp())),
        "-" if one.usual_gap is None else duration_text(one.usual_gap),
        f"{one.received_today:,}",
        "-" if one.expected_today is None else f"{one.expected_today:,}",
        "-" if one.recent_share is None else f"{one.recent_share:.0%}",
        Text(", ".join(alarm.kind for alarm in one.alarms) or "-", style="bold red" if one.alarms else "dim"),
    )


def _print_rest(count: int) -> None:
    if count:
        data_console().print(Text(f"… and {count:,} more: {_SHOW_ALL}", style="dim"), soft_wrap=True)


def _table(names: tuple[str, ...], *, left: tuple[int, ...]) -> Table:
    table = Table(box=None, expand=True, show_edge=False, pad_edge=False, header_style="bold dim", padding=(0, 1, 0, 0))
    for number, name in enumerate(names):
        # The name takes the remaining width.
        justify: Literal["left", "right"] = "left" if number in left else "right"
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis", ratio=None if number else 1)
    return table


def _print(stats: list[SourceStats], hours: float, *, is_limited: bool) -> None:
    if not stats:
        typer.echo(f"No document got an outcome in the last {hours:g} hours.")
        return
    names = ("SOURCE", "documents", "rejected", "share", "since (UTC)", "before", "example")
    table = _table(names, left=(0, 4))
    shown = stats[:_SHOWN_SOURCES] if is_limited else stats
    for source in shown:
        for row in _rows(source):
            table.add_row(*row)
    data_console().print(table)
    _print_rest(len(stats) - len(shown))
    if any(source.causes for source in shown):
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
