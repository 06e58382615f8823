"""The arguments and options that `ingest`, `submit` and `check` share."""

from __future__ import annotations

from typing import Annotated

import typer

Paths = Annotated[
    list[str], typer.Argument(help="files, folders (.md .markdown .txt), .jsonl, or - for standard input")
]
Source = Annotated[str, typer.Option(help="who sends the documents")]
LaneName = Annotated[str | None, typer.Option(help="the lane to use; the first by default")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object a document, then a summary")]
