"""`copydesk worker`: run the production worker, one per host or container."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from worker.cli.exits import leave
from worker.interrupts import deferred
from worker.runtime.supervision.restarter import SUPERVISOR, Restarter, end_with_supervisor
from worker.settings import Settings, settings
from worker.telemetry import logs

_REDIS_SECONDS = 5.0
"""How long to wait for Redis before the worker ends with the reason; a Redis that saves a large file may pause."""


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk worker --concurrency 4")(worker)


def worker(
    concurrency: Annotated[int | None, typer.Option(help="pool processes; COPYDESK_CONCURRENCY by default")] = None,
    name: Annotated[str, typer.Option(help="name of the Celery node")] = "copydesk@%h",
    strict: Annotated[bool, typer.Option("--strict", help="refuse a Redis without persistence on disk")] = False,
    supervised: Annotated[
        bool, typer.Option(help="restart the worker when it dies; switch it off if something else restarts it")
    ] = True,
) -> int:
    """Serve the lanes in production, one worker on each host.

    It is a Celery prefork pool. SIGTERM stops it after the running batches. It refuses servers that would lose documents,
    and names the setting to change.
    """
    config = settings()
    logs.configure_for(config)
    if not supervised:
        end_with_supervisor()
    if supervised or SUPERVISOR not in os.environ:
        logs.name_unknown_settings()
    checked = _begin_in_a_child(lambda: _check_servers(config, strict=strict))
    if supervised:
        if code := checked():
            return code
        options = ["--name", name, *(["--concurrency", str(concurrency)] if concurrency else [])]
        # The checks are repeated at each start: the server may have been replaced.
        strictly = ["--strict"] if strict else []
        command = [sys.executable, "-m", "worker.cli.main", "worker", "--no-supervised", *strictly, *options]
        return Restarter(command).run()

    from worker.enrichment import language

    language.load()  # loaded first: it needs 20 MB for a moment, which then stay below the later peak
    from worker.runtime.celery_worker import serve

    if code := checked():
        return code
    return serve(name, concurrency or config.concurrency)


def _check_servers(config: Settings, *, strict: bool) -> None:
    from worker.monitoring.servers.server_checks import enforce
    from worker.queue.connection import connect
    from worker.store.engine import make_engine

    engine = make_engine(config, pooled=False)
    # Without retries: with them, a Redis that hangs is reported after two minutes.
    with connect(config.redis, retries=0, socket_timeout=_REDIS_SECONDS) as client:
        warnings = enforce(client, engine, strict=strict)
    engine.dispose()
    for warning in warnings:
        logs.get_logger("worker").warning("A server is not as safe as it could be", error=warning)


def _begin_in_a_child(check: Callable[[], None]) -> Callable[[], int]:
    """Start `check` in a forked process; return a function that waits for it and returns its exit code.

    What the checks import (11 MB, mostly Alembic) would otherwise be in every pool process.
    """
    with deferred():
        child = os.fork()
        if child:

            def end() -> None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

            atexit.register(end)  # for an interrupt before it is done

    def wait() -> int:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        atexit.unregister(end)
        return code

    if child:
        return wait
    check()
    leave(0)
