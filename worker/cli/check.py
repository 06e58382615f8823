"""`copydesk check`: the same validation, offline."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.options import Paths
from worker.cli.show import plain, print_json
from worker.document.explain import render
from worker.document.limits import Limits
from worker.document.validate import read
from worker.errors import Exit
from worker.intake.sources import read_paths
from worker.settings import settings


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk check story.md")(check)


def check(
    paths: Paths,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a document")] = False,
) -> int:
    """Check documents offline, and say what to repair.

    It is the validation that workers do, without a server.
    """
    limits = Limits(max_bytes=settings().max_document_bytes)
    count = rejected = 0
    for submission in read_paths(paths, source="check"):
        raw = submission.raw or b""
        reading = read(raw, has_key=submission.key is not None, limits=limits)
        count += 1
        rejected += reading.rejected
        verdict = "rejected" if reading.rejected else "accepted"
        if json_:
            problems = [problem.model_dump(mode="json") for problem in reading.problems]
            print_json({"path": submission.label, "verdict": verdict, "problems": problems})
            continue
        typer.echo(f"{plain(submission.label)}: {verdict}")
        for problem in reading.problems:
            typer.echo("\n".join("  " + plain(line) for line in render(raw, problem).splitlines()))
    if not json_:
        typer.echo(f"{count - rejected} accepted, {rejected} rejected", err=True)
    return Exit.REJECTED if rejected else Exit.OK
