"""`copydesk status`: show the snapshot, once or live."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from redis import RedisError

from worker.cli.exits import print_message
from worker.cli.local_stack import open_store, quick_client, reader, require_servers, why_no_answer
from worker.cli.options import refuse_nan
from worker.cli.terminal import print_json
from worker.errors import Exit
from worker.monitoring.pending_work import pending_work_sentences
from worker.monitoring.status import ErrorReply, LinkingStatus, Snapshot, Unreachable
from worker.settings import Settings, settings
from worker.telemetry.durations import duration_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from worker.cli.tables import TextConsole


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk status --watch")(status)


def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="stay, and show changes live")] = False,
    every: Annotated[
        float, typer.Option(callback=refuse_nan, min=0.2, max=86_400, help="seconds between two updates of --watch")
    ] = 2.0,
    wait_drained: Annotated[
        bool,
        typer.Option(
            "--wait-drained",
            help="wait until no worker holds a document, all lanes that are not paused are empty, the store has no "
            "work left, and no article waits for the linker",
        ),
    ] = False,
    timeout: Annotated[
        float, typer.Option(callback=refuse_nan, help="seconds that --wait-drained waits at most")
    ] = 600,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object; with --watch one for each update")] = False,
) -> int:
    """Show lanes, workers, servers and outcomes, once or live.

    It also shows open dead letters, and whether every entry that was added is accounted for.
    """
    config = settings()
    require_servers(config)
    if wait_drained:
        return _wait_drained(config, timeout)
    if watch:
        return _watch(config, every, as_json=json_)
    try:
        snapshot = _snapshot(config)
    except (RedisError, OSError) as error:
        from worker.cli.outage import print_remedy, snapshot_without_redis

        snapshot = snapshot_without_redis(config, error)
        _show(snapshot, as_json=json_)
        print_remedy(config, error, snapshot)
        return Exit.UNREACHABLE
    _show(snapshot, as_json=json_)
    database = snapshot.servers["database"]
    if not database.ok:
        print_message(f"copydesk: the database cannot be used: {database.error}")
        return Exit.UNREACHABLE
    return Exit.OK


def _show(snapshot: Snapshot, *, as_json: bool) -> None:
    if as_json:
        print_json(snapshot.to_json())
    else:
        _print(snapshot)


def _snapshot(config: Settings) -> Snapshot:
    # While Redis is asked: this import takes half a second, and an outage is reported within 3 seconds.
    threading.Thread(target=import_module, args=("worker.monitoring.snapshot",), daemon=True).start()
    with reader(config), quick_client(config) as client, _store(config):
        from worker.monitoring.servers.server_state import redis_status
        from worker.monitoring.snapshot import MinuteCache, read_queue, read_store, with_rates

        engine, cache = open_store(config), MinuteCache(client)
        lanes, began = read_queue(config, client, cache), time.monotonic()
        store = read_store(engine, is_linking=config.link)
        engine.dispose()
        if lanes.sum.backlog:
            # For a burst, the rates of the last second are more exact than those of minutes.
            time.sleep(max(0.0, began + 1 - time.monotonic()))
            later = read_queue(config, client, cache)
            lanes = with_rates(later, lanes, time.monotonic() - began)
        return Snapshot(lanes, redis_status(client, config.redis), store)


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


def _print(snapshot: Snapshot) -> None:
    from worker.cli import board, tables

    out = tables.data_console()
    out.print(board.board(snapshot, width=out.width))
    if snapshot.store is not None and snapshot.store.store:
        out.print()
    for line in _notes(snapshot):
        out.print(line, soft_wrap=True)


def _notes(snapshot: Snapshot) -> Iterator[str]:
    """Yield what the board has no place for: rows of the store, background work, the internal lane."""
    if (store := snapshot.store) is not None:
        if store.store:
            yield "In the store: " + ", ".join(f"{count:,} {name}" for name, count in store.store.items())
        if store.behind:
            yield f"{store.behind:,} articles were written by an older pipeline: copydesk reprocess --behind"
        yield from pending_work_sentences(store.enriching)
        if store.linking is not None:
            yield from _linking(store.linking)
    if snapshot.queue is not None and (internal := snapshot.queue.internal).added:
        yield (
            f"Internal lane (replays, reprocessing, messages kept from Celery's queue): {internal.added:,} added, "
            f"{internal.settled:,} with an outcome, {internal.backlog:,} waiting"
        )


def _linking(linking: LinkingStatus) -> Iterator[str]:
    if linking.pending:
        off = "" if linking.is_enabled else " (COPYDESK_LINK is off here)"
        age = duration_text(linking.oldest_seconds or 0)
        yield f"linking: {linking.pending:,} articles are not linked yet, the oldest waits {age}{off}"
    if linking.provisional:
        yield f"linking: {linking.provisional:,} articles are linked again when arrivals pause"
    if linking.outdated:
        off = "" if linking.is_enabled else " (COPYDESK_LINK is off here)"
        yield (
            f"linking: {linking.outdated:,} articles have links of an older rule, and are linked again when no other "
            f"waits{off}; see: copydesk relink"
        )


def _watch(config: Settings, every: float, *, as_json: bool) -> int:
    from worker.cli import board, tables
    from worker.monitoring.snapshot_poller import SnapshotPoller

    poller = SnapshotPoller(config, quick_client(config))
    out = tables.data_console()

    def poll() -> Snapshot:
        snapshot = poller.poll()
        redis = snapshot.redis
        if config.redis_url is None and isinstance(redis, Unreachable) and not isinstance(redis, ErrorReply):
            return replace(snapshot, redis=replace(redis, error=" ".join(why_no_answer(config))))
        return snapshot

    if out.is_terminal and not as_json:
        _live(out, poll, every, board.board)
    while True:
        snapshot = poll()
        if as_json:
            print_json(snapshot.to_json())
        else:
            out.print(board.board(snapshot, width=out.width))
            out.print()
        sys.stdout.flush()
        time.sleep(every)


def _live(
    out: TextConsole, poll: Callable[[], Snapshot], every: float, draw: Callable[..., RenderableType]
) -> NoReturn:
    from rich.live import Live

    with Live(console=out, screen=True, auto_refresh=False) as live:
        snapshot, due, size = poll(), time.monotonic() + every, None
        while True:
            if size != out.size:
                size = out.size
                live.update(draw(snapshot, width=out.width, height=out.height), refresh=True)
            # Short sleeps between two polls, so that a resized terminal is redrawn at once.
            time.sleep(max(0.0, min(0.1, due - time.monotonic())))
            if time.monotonic() >= due:
                snapshot, due, size = poll(), time.monotonic() + every, None


def _wait_drained(config: Settings, timeout: float) -> int:
    deadline = time.monotonic() + timeout
    with reader(config) as client, _store(config):
        # After Redis has answered, see `_snapshot`.
        from worker.jobs.reenrichment import is_work_left
        from worker.monitoring.snapshot import MinuteCache, count_unlinked, read_queue

        cache = MinuteCache(client)
        engine = open_store(config)
        while True:
            queue = read_queue(config, client, cache)
            backlog = queue.sum.backlog
            unlinked = count_unlinked(engine) if config.link and queue.is_drained else 0
            is_stored = queue.is_drained and not is_work_left(engine)
            if is_stored and not unlinked:
                print_message(
                    f"Drained: nothing is in flight, {backlog:,} wait on paused lanes or of paused sources."
                    if backlog
                    else "Drained: nothing waits."
                )
                return Exit.OK
            if time.monotonic() >= deadline:
                pending = sum(lane.pending for lane in queue.lanes)
                linking = f", {unlinked:,} articles wait for the linker" if unlinked else ""
                work = ", the store has work left" if queue.is_drained and not is_stored else ""
                print_message(
                    f"Not drained in {timeout:g} s: {pending:,} are in flight, {backlog:,} wait in all{work}{linking}."
                )
                return Exit.TIMED_OUT
            time.sleep(0.2)
