"""The arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.settings import Settings

Paths = Annotated[
    list[str], typer.Argument(help="files, folders (.md .markdown .txt), .jsonl, or - for standard input")
]
Source = Annotated[str, typer.Option(help="who sends the documents")]
LaneName = Annotated[str | None, typer.Option(help="the lane to use; the first by default")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object a document, then a summary")]


def require_lane(config: Settings, name: str) -> None:
    """Raise typer.BadParameter if COPYDESK_LANES has no lane of this name."""
    names = [lane.name for lane in config.lane_list]
    if name not in names:
        raise typer.BadParameter(f"COPYDESK_LANES has no lane {name!r}; the lanes are {', '.join(names)}")
