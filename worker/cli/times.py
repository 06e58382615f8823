"""`copydesk times`: show where time goes, and which stage became slow, and when."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from worker.activity.minute_counters import MinuteCounters
from worker.cli.local_stack import reader
from worker.cli.options import require_lane
from worker.cli.tables import data_console
from worker.cli.terminal import print_json
from worker.errors import Exit
from worker.monitoring.stage_times import SPANS, Slice, SlowPeriod, StageTimes, intervals_of, stage_times
from worker.settings import settings
from worker.telemetry.durations import duration_text


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk times --span day")(times)


def times(
    span: Annotated[Literal["hour", "day", "week"], typer.Option(help="how far to look back")] = "hour",
    lane: Annotated[str | None, typer.Option(help="only batches of this lane")] = None,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a stage")] = False,
) -> int:
    """Show where time goes, and which stage became slow, and when.

    For each stage of a batch: its milliseconds in the last interval, usually, and at most. A stage became slow when a
    batch and a document take twice as long as usual. Times are in UTC.
    """
    config = settings()
    if lane is not None:
        require_lane(config, lane)
    with reader(config) as client:
        counters, count = MinuteCounters(client), SPANS[span][0]
        parts = counters.hours(count) if span == "week" else counters.window(count)
    intervals = intervals_of(span, parts, lane)
    stages = stage_times(intervals)
    if json_:
        for stage in stages:
            print_json(_as_json(stage))
    else:
        _print(stages, intervals, span)
    return Exit.OK


def _as_json(stage: StageTimes) -> dict[str, object]:
    slow = stage.slow
    period = slow and {"from": _iso(slow.begin), "to": _iso(slow.end), "peak": slow.peak, "is_now": slow.is_now}
    return {**asdict(stage), "slow": period}


def _print(stages: list[StageTimes], intervals: list[Slice], span: str) -> None:
    if not stages:
        typer.echo(f"No batch was processed in the last {span}.")
        return
    for stage in stages:
        if stage.slow is not None:
            data_console().print(Text(_sentence(stage, stage.slow), style="bold red"), soft_wrap=True)
    if not any(stage.slow for stage in stages):
        typer.echo(f"No stage became slow in the last {span}.")
    table = Table(box=None, show_edge=False, pad_edge=False, header_style="bold dim", padding=(0, 2, 0, 0))
    table.add_column("STAGE")
    for name in ("last, ms a batch", "usual", "longest"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what happens in it")
    for stage in stages:
        table.add_row(
            stage.stage, *(f"{value:,.1f}" for value in (stage.last, stage.usual, stage.longest)), stage.words
        )
    data_console().print(table)
    waits = next((one.waits for one in reversed(intervals) if one.waits), None)
    if waits is not None:
        half, most = (duration_text(seconds) for seconds in waits)
        typer.echo(f"From arrival to outcome, lately: half of the documents {half}, 99 of 100 {most}.")


def _sentence(stage: StageTimes, slow: SlowPeriod) -> str:
    end = "until now" if slow.is_now else f"to {_time(slow.end)}"
    return (
        f"! {stage.stage} became slow: from {_time(slow.begin)} {end}, up to {slow.peak:,.1f} ms a batch; "
        f"usual is {stage.usual:,.1f} ms"
    )


def _time(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%m-%d %H:%M}"


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
