"""`copydesk check`: validate documents as workers do, offline."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from worker.cli.options import Paths
from worker.cli.progress import progress
from worker.cli.terminal import plain, print_json
from worker.documents.limits import Limits
from worker.documents.problem_display import render
from worker.documents.validation import Reading, read
from worker.errors import Exit
from worker.producer.input_files import UnreadablePath, count_documents, read_paths
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
    with progress(lambda: _total(paths), prints=True) as advance:
        for submission in read_paths(paths, source="check"):
            raw = submission.raw or b""
            reading = read(raw, has_key=submission.key is not None, limits=limits)
            count += 1
            advance(count)
            rejected += reading.rejected
            summary = "rejected" if reading.rejected else "accepted"
            if json_:
                problems = [problem.model_dump(mode="json") for problem in reading.problems]
                print_json({"path": submission.label, "verdict": summary, "problems": problems})
                continue
            needs_key = " (if it is sent with a key: it has no URL)" if _needs_key(reading) else ""
            typer.echo(f"{plain(submission.label)}: {summary}{needs_key}")
            for problem in reading.problems:
                typer.echo("\n".join("  " + plain(line) for line in render(raw, problem).splitlines()))
    if not json_:
        typer.echo(f"{count - rejected} accepted, {rejected} rejected", err=True)
    return Exit.REJECTED if rejected else Exit.OK


def _total(paths: list[str]) -> int | None:
    """Return how many documents there are; None if that cannot be known: then the results say why."""
    with contextlib.suppress(UnreadablePath):
        return count_documents(paths)
    return None


def _needs_key(reading: Reading) -> bool:
    """Return whether the document is accepted only because it is sent with a key, which is its path here."""
    return reading.article is not None and reading.article.primary_url is None
