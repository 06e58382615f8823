"""`copydesk status`: show the snapshot, once or live."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Annotated, Any

import typer

from worker.cli.exits import say
from worker.cli.local_stack import NoDesk, open_store, quick_client, reader, require_desk, why_no_answer
from worker.cli.terminal import print_json
from worker.errors import Exit
from worker.queue.lease_queue import LeaseQueue
from worker.settings import INTERNAL_LANE, Settings, settings


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk status --watch")(status)


def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="stay, and show changes live")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="seconds between two updates of --watch")] = 2.0,
    wait_drained: Annotated[
        bool,
        typer.Option(
            "--wait-drained",
            help="wait until no worker holds a document, all lanes that are not paused are empty, and the store has no"
            " work left",
        ),
    ] = False,
    timeout: Annotated[float, typer.Option(help="seconds that --wait-drained waits at most")] = 600,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object; with --watch one for each update")] = False,
) -> int:
    """Show lanes, workers, servers and outcomes, once or live.

    It also shows open dead letters, and whether every entry that was added is accounted for.
    """
    config = settings()
    require_desk(config)
    if wait_drained:
        return _wait_drained(config, timeout)
    if watch:
        return _watch(config, every, as_json=json_)
    found = _once(config)
    if json_:
        print_json(found)
    else:
        _print(found)
    if not found["database"]["ok"]:
        say(f"copydesk: the database cannot be used: {found['database']['error']}")
        return Exit.UNREACHABLE
    return Exit.OK


def _once(config: Settings) -> dict[str, Any]:
    with reader(config) as client, _store(config):
        # Imported after Redis has answered: it takes half a second, and an unreachable server is reported within 3 s.
        from worker.monitoring.snapshot import Recent, figures, measure, of_redis

        engine, began = open_store(config), time.monotonic()
        found = figures(config, client, engine)
        engine.dispose()
        if found["sum"]["backlog"]:
            # For a burst, the rates of the last second are more exact than those of minutes.
            time.sleep(max(0.0, began + 1 - time.monotonic()))
            later = of_redis(config, client, Recent(client))
            before, lanes = found["lanes"], later["lanes"]
            measure(lanes, before, time.monotonic() - began)
            found.update({name: later[name] for name in ("lanes", "internal", "sum", "outcomes")})
    return found


@contextmanager
def _store(config: Settings) -> Iterator[None]:
    """With a configured Redis, create a missing store. An unreachable database is reported in the snapshot."""
    if config.redis_url is None:
        yield
        return
    from sqlalchemy.exc import SQLAlchemyError

    from worker.runtime.embedded.local_stack import LocalStack

    with ExitStack() as stack:
        with suppress(SQLAlchemyError):
            stack.enter_context(LocalStack(config, with_worker=False))
        yield


def _print(found: dict[str, Any]) -> None:
    from worker.cli.board import board
    from worker.cli.tables import data_console

    out = data_console()
    out.print(board(found, width=out.width))
    if found["store"]:
        out.print()
        out.print(
            "In the store: " + ", ".join(f"{count:,} {name}" for name, count in found["store"].items()), soft_wrap=True
        )
    if found["behind"]:
        out.print(f"{found['behind']:,} articles are of an older pipeline: copydesk reprocess --behind", soft_wrap=True)
    for work in found["enriching"]:
        out.print(_work(work), soft_wrap=True)
    internal = found["internal"]
    if internal["added"]:
        out.print(
            f"Internal lane (replays, reprocessing, messages kept from Celery's queue): {internal['added']:,} added, "
            f"{internal['settled']:,} with an outcome, {internal['backlog']:,} waiting",
            soft_wrap=True,
        )


_SUMS = {
    "peers": "the heat of the articles that list {:,} changed articles",
    "image": "the titles under which {:,} images are shown",
    "target": "the links to {:,} URLs that mean another article now",
}
"""What is computed from many articles after a batch, by the kind of work."""


def _work(work: dict[str, Any]) -> str:
    if work["kind"] == "names":
        return f"enriching: the names of provider {work['subject']} are to be counted"
    if work["kind"] in _SUMS:
        return f"pending: {_SUMS[work['kind']].format(work['total'])}"
    if work["kind"] == "retract":
        return f"retracting: more documents that show the URL of document {work['subject']}"
    whose = f"the articles of provider {work['subject']}" if work["subject"] else "all articles"
    return f"enriching: {whose}, {work['done']:,} of {work['total']:,} done, because a reference document changed"


def _watch(config: Settings, every: float, *, as_json: bool) -> int:
    from rich.live import Live

    from worker.cli.board import board
    from worker.cli.tables import data_console
    from worker.monitoring.snapshot_poller import SnapshotPoller

    looks, out = SnapshotPoller(config, quick_client(config) if config.redis_url is None else None), data_console()

    def look() -> dict[str, Any]:
        found = looks.poll()
        if config.redis_url is None and not found["redis"]["ok"]:
            found["redis"]["error"] = " ".join(why_no_answer(config))
        return found

    if as_json or not out.is_terminal:
        while True:
            found = look()
            if as_json:
                print_json(found)
            else:
                out.print(board(found, width=out.width))
                out.print()
            sys.stdout.flush()
            time.sleep(every)
    with Live(console=out, screen=True, auto_refresh=False) as live:
        found = look()
        due = time.monotonic() + every
        size = None
        while True:
            if size != out.size:
                size = out.size
                live.update(board(found, width=out.width, height=out.height), refresh=True)
            # Short sleeps between two polls, so that a resized terminal is redrawn at once.
            time.sleep(max(0.0, min(0.1, due - time.monotonic())))
            if time.monotonic() >= due:
                found, due, size = look(), time.monotonic() + every, None


def _is_work_left(config: Settings) -> bool:
    """Return whether batches left work in the store that no worker has done yet; False: the store does not answer."""
    from sqlalchemy.exc import SQLAlchemyError

    from worker.jobs.reenrichment import is_work_left

    try:
        engine = open_store(config)
    except NoDesk:
        return False
    try:
        return is_work_left(engine)
    except SQLAlchemyError:
        return False
    finally:
        engine.dispose()


def _wait_drained(config: Settings, timeout: float) -> int:
    deadline = time.monotonic() + timeout
    with reader(config) as client:
        # After Redis has answered, see `_once`.
        from worker.monitoring.snapshot import Recent, is_drained, of_redis

        recent, internal = Recent(client), LeaseQueue(client, INTERNAL_LANE)
        internal.ensure()
        while True:
            found = of_redis(config, client, recent)
            pending, backlog = sum(lane["pending"] for lane in found["lanes"]), found["sum"]["backlog"]
            if is_empty := is_drained(found["lanes"], internal.figures()[2]):
                is_empty = not _is_work_left(config)
            if is_empty:
                say(
                    f"Drained: no document is at work, {backlog:,} wait on paused lanes."
                    if backlog
                    else "Drained: nothing waits."
                )
                return Exit.OK
            if time.monotonic() >= deadline:
                say(f"Not drained in {timeout:g} s: {pending:,} are at work, {backlog:,} wait in all.")
                return Exit.TIMED_OUT
            time.sleep(0.2)
