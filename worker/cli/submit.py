"""`copydesk submit`: push documents; with --wait also print their outcomes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Annotated

import typer

from worker.cli.counting import count_with_progress
from worker.cli.local_stack import require_folder, writer
from worker.cli.options import AsJson, LaneName, Paths, Source, refuse_nan
from worker.cli.progress import Advance, progress
from worker.cli.results import Results
from worker.cli.terminal import plain, print_json
from worker.errors import Exit
from worker.producer.client import Producer
from worker.producer.input_files import read_paths
from worker.producer.submission import Submission
from worker.producer.submission_window import DocumentOutcome, SubmissionWindow
from worker.settings import Settings, settings
from worker.telemetry import logs


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk submit --source my-crawler story.md")(submit)


def submit(
    paths: Paths,
    source: Source = "submit",
    lane: LaneName = None,
    key: Annotated[str | None, typer.Option(help="your own identity of the document (one document only)")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="wait for the outcomes")] = False,
    timeout: Annotated[float, typer.Option(callback=refuse_nan, help="seconds to wait at most")] = 60,
    json_: AsJson = False,
) -> int:
    """Push documents to a lane, and print their receipt ids.

    It slows down when the workers ask for it. With --wait it submits documents only as fast as their outcomes arrive.
    """
    config = settings()
    count = count_with_progress(paths)
    if key is not None and count != 1:
        raise typer.BadParameter("--key goes with one document")
    submissions = (
        # With --wait this command receives the receipts.
        replace(submission, key=submission.key if key is None else key, reply_to=None if wait else submission.reply_to)
        for submission in read_paths(paths, source=source)
    )
    target = lane or config.lane_list[0].name
    with (
        _redis(config, wait=wait),
        Producer(config.redis, lane=target, source=source, receipts=wait) as producer,
        progress(count, prints=True) as advance,
    ):
        if wait:
            return _print_outcomes(
                producer, submissions, timeout, Results(target, "json" if json_ else "text"), advance
            )
        for done, (submission, id_) in enumerate(producer.submit_many(submissions), 1):
            advance(done)
            if json_:
                print_json({"id": id_, "lane": target, "path": submission.label})
            else:
                typer.echo(f"{id_}\t{plain(submission.label)}")
    return Exit.OK


def _print_outcomes(
    producer: Producer, submissions: Iterator[Submission], timeout: float, results: Results, advance: Advance
) -> int:
    all_submitted: list[float] = []

    def submitted() -> Iterator[tuple[Submission, str]]:
        yield from producer.submit_many(submissions)
        all_submitted.append(time.monotonic())

    def keep_waiting(seconds_without_outcome: float) -> bool:
        return (time.monotonic() - all_submitted[0] if all_submitted else seconds_without_outcome) < timeout

    def poll(ids: Collection[str]) -> Mapping[str, DocumentOutcome]:
        receipts = producer.collect(ids)
        return {
            id_: DocumentOutcome(
                receipt.outcome, receipt.url, [one.model_dump(mode="json") for one in receipt.problems]
            )
            for id_, receipt in receipts.items()
        }

    window = SubmissionWindow(poll, keep_waiting)
    for done, document in enumerate(window.run(submitted()), 1):
        results.add(document)
        advance(done)
    results.print(window.submitted)
    return results.exit_code(window.submitted)


@contextlib.contextmanager
def _redis(config: Settings, *, wait: bool) -> Iterator[None]:
    """Require a Redis that answers; an unreachable one is reported at once, before the producer retries for long.

    `wait`: if the embedded Valkey must be started, start a worker too, because nobody else would process the documents.
    """
    if not wait or config.redis_url is not None:
        with writer(config) as client:
            client.ping()
            yield
        return
    from worker.runtime.embedded.local_stack import LocalStack

    require_folder(config)
    logs.configure_for(config, level="warning")
    with LocalStack(config, with_worker=None, worker_log=str(config.data_dir.absolute() / "worker.log")):
        yield
