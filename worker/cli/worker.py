"""`copydesk worker`: the production worker, one per host or container."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk worker --concurrency 4")(worker)


def worker(
    concurrency: Annotated[int | None, typer.Option(help="pool processes; COPYDESK_CONCURRENCY by default")] = None,
    name: Annotated[str, typer.Option(help="the Celery node's name")] = "copydesk@%h",
) -> int:
    """Serve the lanes with a Celery prefork pool until stopped. SIGTERM finishes running batches first."""
    from worker.observe import logs
    from worker.runtime.app import app as celery
    from worker.settings import settings
    from worker.store.engine import make_engine
    from worker.store.migrate import current, head

    config = settings()
    logs.configure_for(config)
    engine = make_engine(config, pooled=False)
    with engine.connect() as connection:
        found = current(connection)
    engine.dispose()
    if found != head():
        raise typer.BadParameter(
            f"the store's schema is {found or 'empty'}, this code needs {head()}: run copydesk db upgrade"
        )
    arguments = [
        "--quiet",
        "worker",
        "--pool=prefork",
        f"--hostname={name}",
        "--without-gossip",
        "--without-mingle",
        "--loglevel=WARNING",
    ]
    celery.worker_main([*arguments, f"--concurrency={concurrency or config.concurrency}"])
    return 0
