"""`copydesk ingest`: start what is not configured, submit, wait, print the outcomes, stop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from worker.cli.linker_wait import wait_until_linked
from worker.cli.options import AsJson, LaneName, Paths, Source, exit_of, print_results, result_of
from worker.cli.progress import progress
from worker.cli.tables import console, outcome_table, problem_line
from worker.errors import Exit
from worker.jobs.reenrichment import complete
from worker.producer.client import submit_many
from worker.producer.input_files import read_paths
from worker.queue.connection import connect
from worker.runtime.embedded.local_stack import LocalStack
from worker.settings import Settings, settings
from worker.store.engine import make_engine
from worker.store.receipts import receipts_of
from worker.telemetry import logs

_SHOWN_PROBLEMS = 20


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk ingest schemas/examples/valid")(ingest)


def ingest(
    paths: Paths,
    source: Source = "ingest",
    lane: LaneName = None,
    json_: AsJson = False,
    timeout: Annotated[float, typer.Option(help="seconds without any progress before giving up")] = 120,
) -> int:
    """Ingest documents once: start what is missing, wait, stop.

    It submits the documents, waits for the outcome of each, and prints them. With nothing configured it starts a Valkey
    and a worker, with SQLite under .copydesk/, and stops them at the end.
    """
    config = settings()
    logs.configure_for(config, level="warning")
    submissions = list(read_paths(paths, source=source))
    talk = console()
    if not submissions:
        talk.print("No documents there (files end in .md, .markdown, .txt or .jsonl).")
        return Exit.USAGE
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    worker_log = config.data_dir.absolute() / "worker.log"
    target = lane or config.lane_list[0].name
    started = time.monotonic()

    def go_on(idle: float) -> bool:
        return idle < timeout and stack.failed_starts < 3

    with LocalStack(config, worker_log=str(worker_log)) as stack, progress(len(submissions)) as advance:
        results, finished = _run(config, target, submissions, advance, go_on)
        seconds = time.monotonic() - started
        if finished:
            _complete(config)
        told, waiting = wait_until_linked(config) if finished and config.link else (0, 0)
    outcomes = Counter(result["outcome"] for result in results)
    if json_:
        print_results(results, len(submissions))
    else:
        problems = [(r["path"], p) for r in results for p in r["problems"] if p["severity"] == "error"]
        for path, problem in problems[:_SHOWN_PROBLEMS]:
            talk.print(problem_line(path, problem), soft_wrap=True)
        if len(problems) > _SHOWN_PROBLEMS:
            talk.print(f"… and {len(problems) - _SHOWN_PROBLEMS:,} more problems (--json shows all)")
        talk.print(outcome_table(outcomes))
        talk.print(f"\n{len(results):,} documents in {seconds:.1f} s. Where to look next:", style="dim")
        for line in _next_steps(config, worker_log, told, waiting):
            talk.print(f"  {line}", style="dim", soft_wrap=True)
    if not finished:
        if stack.failed_starts:
            talk.print("The worker does not start.", style="red")
        talk.print(
            f"{len(submissions) - len(results):,} documents have no outcome yet: the log is {worker_log}", style="red"
        )
        return Exit.TIMED_OUT
    return exit_of(outcomes, len(submissions))


def _run(
    config: Settings, lane: str, submissions: list[Any], advance: Any, go_on: Callable[[float], bool]
) -> tuple[list[dict[str, Any]], bool]:
    """Submit everything, then wait for the receipts; return the results and whether all receipts came."""
    engine = make_engine(config, pooled=False)
    with connect(config.redis) as client:
        pushed = {id_: submission for submission, id_ in submit_many(client, lane, submissions)}
    found: dict[str, Any] = {}
    waiting = list(pushed)
    last_progress = time.monotonic()
    while waiting and go_on(time.monotonic() - last_progress):
        with engine.connect() as connection:
            new = receipts_of(connection, lane, waiting[:2000])
        if new:
            found.update(new)
            waiting = [id_ for id_ in waiting if id_ not in new]
            last_progress = time.monotonic()
            advance(len(found))
        else:
            time.sleep(0.05)
    engine.dispose()
    results = [result_of(id_, lane, pushed[id_].label, found[id_]) for id_ in pushed if id_ in found]
    return results, not waiting


def _complete(config: Settings) -> None:
    """Do the remaining enrichment in this process, so that `ingest` leaves a complete store."""
    engine = make_engine(config, pooled=False)
    complete(engine, config.heat_rules, seconds=600)
    engine.dispose()


def _next_steps(config: Settings, worker_log: Path, told: int, waiting: int) -> list[str]:
    steps = [f"the worker's log    {worker_log}"]
    if config.database_url is None:
        database = config.data_dir / "copydesk.db"
        steps.insert(0, f"the articles        sqlite3 {database} 'SELECT title, canonical_url FROM articles LIMIT 10'")  # noqa: S608  shown, not run
    else:
        steps.insert(0, "the articles        SELECT title, canonical_url FROM articles LIMIT 10")
    later = f", {waiting:,} articles are not looked at yet" if waiting else ""
    steps.append(f"stories             copydesk stories ({told:,} of them{later})")
    steps.append("figures             copydesk status")
    return steps
