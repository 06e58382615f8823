"""The arguments and options that several commands share."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated

import typer

from worker.settings import Settings
from worker.telemetry.durations import parse_time

Paths = Annotated[list[str], typer.Argument(help="files, folders (.md .markdown .txt .jsonl), or - for standard input")]
Source = Annotated[str, typer.Option(help="who sends the documents")]
LaneName = Annotated[str | None, typer.Option(help="the lane to use; the first by default")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object a document, then a summary")]


def refuse_nan(value: float | None) -> float | None:
    """Return the value of an option that is a number. NaN is within any limits. Raises typer.BadParameter for it."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("'nan' is not a number.")
    return value


def require_lane(config: Settings, name: str) -> None:
    """Raise typer.BadParameter if COPYDESK_LANES has no lane of this name."""
    names = [lane.name for lane in config.lane_list]
    if name not in names:
        raise typer.BadParameter(f"COPYDESK_LANES has no lane {name!r}; the lanes are {', '.join(names)}")


def moment_of(text: str, option: str) -> datetime:
    """Return the time that an option names: so long ago (`2h`, `30d`), or a day or time. Raises typer.BadParameter."""
    try:
        return parse_time(text, datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
