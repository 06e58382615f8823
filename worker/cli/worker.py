"""`copydesk worker`: the production worker, one per host or container."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk worker --concurrency 4")(worker)


def worker(
    concurrency: Annotated[int | None, typer.Option(help="pool processes; COPYDESK_CONCURRENCY by default")] = None,
    name: Annotated[str, typer.Option(help="the Celery node's name")] = "copydesk@%h",
    strict: Annotated[bool, typer.Option("--strict", help="refuse a Redis that keeps nothing on disk")] = False,
    supervised: Annotated[
        bool, typer.Option(help="start the worker again when it dies; not where something else does")
    ] = True,
) -> int:
    """Serve the lanes with a Celery prefork pool until stopped. SIGTERM finishes running batches first.

    It refuses servers that would lose documents, and says what to set.
    """
    from worker.intake.connect import connect
    from worker.observe import logs
    from worker.operate.checks import enforce
    from worker.settings import settings
    from worker.store.engine import make_engine

    config = settings()
    logs.configure_for(config)
    engine = make_engine(config, pooled=False)
    with connect(config.redis) as client:
        warnings = enforce(client, engine, strict=strict)
    engine.dispose()
    for warning in warnings:
        logs.get_logger("worker").warning("A server is not as safe as it could be", error=warning)
    if supervised:
        from worker.runtime.restarter import Restarter

        options = ["--name", name, *(["--concurrency", str(concurrency)] if concurrency else [])]
        # The checks are repeated at each start: a server may have come back as another.
        strictly = ["--strict"] if strict else []
        command = [sys.executable, "-m", "worker.cli.main", "worker", "--no-supervised", *strictly, *options]
        return Restarter(command).run()

    from worker.enrich import language

    language.load()  # before all else is imported: the 20 MB that it takes for a moment are then below the peak
    from worker.runtime.app import app as celery

    arguments = [
        "--quiet",
        "worker",
        "--pool=prefork",
        f"--hostname={name}",
        "--without-gossip",
        "--without-mingle",
        "--loglevel=WARNING",
    ]
    code = 0
    try:
        celery.worker_main([*arguments, f"--concurrency={concurrency or config.concurrency}"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    _end(code)


def _end(code: int) -> NoReturn:
    """Leave without taking the interpreter apart, which costs a second and changes nothing."""
    import atexit
    import logging
    import os

    atexit._run_exitfuncs()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)
