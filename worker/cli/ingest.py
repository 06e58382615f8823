"""`copydesk ingest`: start what is not configured, submit, wait, print the outcomes, stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

from worker.cli.counting import count_with_progress
from worker.cli.linker_wait import wait_until_linked
from worker.cli.open_files import require_open_files
from worker.cli.options import AsJson, LaneName, Paths, Source, refuse_nan, require_lane
from worker.cli.progress import progress
from worker.cli.results import Results
from worker.cli.tables import TextConsole, console, outcome_table, problem_line
from worker.errors import Exit
from worker.jobs.reenrichment import complete
from worker.producer.client import submit_many
from worker.producer.input_files import read_paths
from worker.producer.submission_window import DocumentOutcome, SubmissionWindow
from worker.queue.connection import connect
from worker.runtime.embedded.local_stack import LocalStack
from worker.settings import Settings, settings
from worker.store.engine import make_engine
from worker.store.receipts import receipts_of
from worker.telemetry import logs

_POLLED_IDS = 2000
_MAX_FAILED_STARTS = 3


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk ingest schemas/examples/valid")(ingest)


def ingest(
    paths: Paths,
    source: Source = "ingest",
    lane: LaneName = None,
    json_: AsJson = False,
    timeout: Annotated[
        float, typer.Option(callback=refuse_nan, help="seconds without any progress before giving up")
    ] = 120,
) -> int:
    """Send documents and wait for the outcomes; starts servers if needed.

    It submits the documents, waits for the outcome of each, and prints them. With nothing configured it starts a Valkey
    and a worker, with SQLite under .copydesk/, and stops them at the end.
    """
    config = settings()
    require_open_files(config.concurrency)
    logs.configure_for(config, level="warning")
    target = lane or config.lane_list[0].name
    require_lane(config, target)
    count = count_with_progress(paths)
    messages = console()
    if count == 0:
        messages.print("These paths hold no documents (files end in .md, .markdown, .txt or .jsonl).")
        return Exit.USAGE
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    worker_log = config.data_dir.absolute() / "worker.log"
    results = Results(target, "json" if json_ else "none")
    started = time.monotonic()

    def keep_waiting(seconds_without_outcome: float) -> bool:
        return seconds_without_outcome < timeout and stack.failed_starts < _MAX_FAILED_STARTS

    with LocalStack(config, worker_log=str(worker_log)) as stack:
        engine = make_engine(config, pooled=False)
        with connect(config.redis) as client, progress(count) as advance:
            window = SubmissionWindow(_poll(engine, target, advance), keep_waiting)
            for document in window.run(submit_many(client, target, read_paths(paths, source=source))):
                if document.outcome is not None:
                    results.add(document)
        seconds = time.monotonic() - started
        next_steps = _next_steps(config, worker_log, (0, 0) if window.gave_up else _finish(config, engine))
        engine.dispose()
    if json_:
        results.print(window.submitted)
    else:
        _print_summary(messages, results, seconds, next_steps)
    if window.gave_up:
        if stack.failed_starts:
            messages.print("The worker does not start.", style="red")
        missing = window.submitted - results.outcomes.total()
        waiting = (
            f"{missing:,} documents have no outcome yet. They wait: copydesk up or the next copydesk ingest continues"
        )
        messages.print(f"{waiting}. The log is {worker_log}", style="red")
    return results.exit_code(window.submitted)


def _poll(
    engine: Engine, lane: str, advance: Callable[[int], None]
) -> Callable[[Collection[str]], Mapping[str, DocumentOutcome]]:
    """Return the function that reads outcomes from the store; `advance` gets how many there are so far."""
    count = 0

    def poll(ids: Collection[str]) -> Mapping[str, DocumentOutcome]:
        nonlocal count
        with engine.connect() as connection:
            rows = receipts_of(connection, lane, list(islice(ids, _POLLED_IDS)))
        count += len(rows)
        advance(count)
        return {id_: DocumentOutcome(row.outcome, row.url, row.problems) for id_, row in rows.items()}

    return poll


def _finish(config: Settings, engine: Engine) -> tuple[int, int]:
    """Do the remaining enrichment and wait for the linker; return (stories, articles that still wait for the linker)."""
    with progress(None, "heat and images"):
        complete(engine, config.heat_rules, seconds=600)
    return wait_until_linked(engine) if config.link else (0, 0)


def _next_steps(config: Settings, worker_log: Path, linked: tuple[int, int]) -> list[str]:
    stories, unlinked = linked
    query = "SELECT title, canonical_url FROM articles LIMIT 10"
    later = f"; {unlinked:,} articles are not linked yet, the next worker continues" if unlinked else ""
    return [
        "the articles        "
        + (query if config.database_url else f"sqlite3 {config.data_dir / 'copydesk.db'} '{query}'"),
        f"the worker's log    {worker_log}",
        f"stories             copydesk stories ({stories:,} of them{later})",
        "figures             copydesk status",
        "the console         copydesk console",
    ]


def _print_summary(messages: TextConsole, results: Results, seconds: float, next_steps: list[str]) -> None:
    for path, problem in results.first_problems:
        messages.print(problem_line(path, problem), soft_wrap=True)
    if results.problem_count > len(results.first_problems):
        more = results.problem_count - len(results.first_problems)
        messages.print(f"… and {more:,} more problems (--json shows all)")
    messages.print(outcome_table(results.outcomes))
    count = results.outcomes.total()
    messages.print(
        f"\n{count:,} document{'s' if count != 1 else ''} in {seconds:.1f} s. Where to look next:", style="dim"
    )
    for line in next_steps:
        messages.print(f"  {line}", style="dim", soft_wrap=True)
