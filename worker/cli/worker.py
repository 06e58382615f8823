"""`copydesk worker`: run the production worker, one per host or container."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from worker.cli.open_files import require_open_files
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
    require_open_files(concurrency or config.concurrency)
    logs.configure_for(config)
    if supervised or SUPERVISOR not in os.environ:
        logs.name_unknown_settings()
    if supervised:
        options = ["--name", name, *(["--concurrency", str(concurrency)] if concurrency else [])]
        strictly = ["--strict"] if strict else []
        command = [sys.executable, "-m", "worker.cli.main", "worker", "--no-supervised", *strictly, *options]
        return Restarter(command).run()

    end_with_supervisor()
    from worker.enrichment import language

    language.load()  # loaded first: it needs 20 MB for a moment, which then stay below the later peak
    _check_servers(config, strict=strict)  # at each start: the server may have been replaced
    from worker.runtime.celery_worker import serve

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
