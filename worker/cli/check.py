"""`copydesk check`: validate documents as workers do, offline."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from schemas.envelope import Op, parse_envelope
from schemas.problem import Problem, Severity
from worker.cli.counting import print_skipped
from worker.cli.options import Paths
from worker.cli.progress import progress
from worker.cli.terminal import plain, print_json
from worker.documents.limits import Limits
from worker.documents.problem_display import render
from worker.documents.validation import read
from worker.errors import Exit
from worker.producer.input_files import UnreadablePath, count_documents, read_paths
from worker.producer.submission import Submission
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
    skipped: list[Path] = []
    with progress(lambda: _total(paths), prints=True) as advance:
        for submission in read_paths(paths, source="check", skipped=skipped.append):
            raw = submission.raw or b""
            problems, note = _problems(submission, limits)
            count += 1
            advance(count)
            is_rejected = any(problem.severity is Severity.ERROR for problem in problems)
            rejected += is_rejected
            summary = "rejected" if is_rejected else "accepted"
            if json_:
                listed = [problem.model_dump(mode="json") for problem in problems]
                print_json({"path": submission.label, "verdict": summary, "problems": listed})
                continue
            typer.echo(f"{plain(submission.label)}: {summary}{note}")
            for problem in problems:
                typer.echo("\n".join("  " + plain(line) for line in render(raw, problem).splitlines()))
    print_skipped(skipped)
    if not json_:
        typer.echo(f"{count - rejected} accepted, {rejected} rejected", err=True)
    return Exit.REJECTED if rejected else Exit.OK


def _total(paths: list[str]) -> int | None:
    """Return how many documents there are; None if that cannot be known: then the results say why."""
    with contextlib.suppress(UnreadablePath):
        return count_documents(paths)
    return None


def _problems(submission: Submission, limits: Limits) -> tuple[Sequence[Problem], str]:
    """Return the problems of the fields and the document, and a note on what its acceptance depends on."""
    fields = {
        name if isinstance(name, bytes) else str(name).encode(): bytes(value)  # type: ignore[arg-type]  # bytes
        for name, value in submission.fields().items()
    }
    envelope, problems = parse_envelope(fields)
    if envelope.op is Op.RETRACT or any(problem.severity is Severity.ERROR for problem in problems):
        return problems, ""
    reading = read(envelope.raw, has_key=envelope.key is not None, limits=limits)
    needs_key = reading.article is not None and reading.article.primary_url is None  # the key is its path here
    return (*problems, *reading.problems), " (if it is sent with a key: it has no URL)" if needs_key else ""
