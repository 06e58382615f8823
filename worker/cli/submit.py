"""`copydesk submit`: push documents; with --wait also print their outcomes."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import typer

from schemas.receipt import Receipt
from worker.cli.local_stack import require_folder, writer
from worker.cli.options import AsJson, LaneName, Paths, Source, exit_of, print_results, result_of
from worker.cli.terminal import plain, print_json
from worker.errors import Exit
from worker.producer.client import Producer
from worker.producer.input_files import read_paths
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
    timeout: Annotated[float, typer.Option(help="seconds to wait at most")] = 60,
    json_: AsJson = False,
) -> int:
    """Push documents to a lane, and print their receipt ids.

    It slows down when the workers ask for it.
    """
    config = settings()
    target = lane or config.lane_list[0].name
    submissions = list(read_paths(paths, source=source))
    if key is not None:
        if len(submissions) != 1:
            raise typer.BadParameter("--key goes with one document")
        submissions = [replace(submissions[0], key=key)]
    if wait:
        # With --wait this command receives the receipts.
        submissions = [replace(submission, reply_to=None) for submission in submissions]
    with _redis(config, wait=wait):
        pushed: list[tuple[str, str]] = []
        found: dict[str, Receipt] = {}
        with Producer(config.redis, lane=target, source=source, receipts=wait) as stack:
            waiting: set[str] = set()
            for submission, id_ in stack.submit_many(submissions):
                pushed.append((id_, submission.label))
                if not wait and json_:
                    print_json({"id": id_, "lane": target, "path": submission.label})
                elif not wait:
                    typer.echo(f"{id_}\t{plain(submission.label)}")
                else:
                    waiting.add(id_)
                    if len(pushed) % 1000 == 0:
                        found.update(stack.collect(waiting))
                        waiting.difference_update(found)
            if wait and waiting:
                found.update(stack.wait_many(waiting, timeout=timeout))
    if not wait:
        return Exit.OK
    results = [result_of(id_, target, label, found.get(id_)) for id_, label in pushed]
    if json_:
        print_results(results, len(results))
    else:
        for result in results:
            typer.echo(f"{result['id']}\t{result['outcome']}\t{plain(result['path'])}")
    return exit_of(Counter(result["outcome"] for result in results), len(results))


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
