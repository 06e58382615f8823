"""`copydesk up`: all in one, stays and serves until stopped."""

from __future__ import annotations

import signal
import threading

import typer

from worker.cli.exits import Exit, say


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk up")(up)


def up() -> int:
    """Start what is not configured (Valkey, SQLite) and a worker, and serve until stopped (Ctrl-C or SIGTERM)."""
    from worker.observe import logs
    from worker.runtime.supervisor import Desk
    from worker.settings import settings

    config = settings()
    logs.configure_for(config)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with Desk(config):
        lanes = ", ".join(lane.name for lane in config.lane_list)
        redis_cli = (
            f"-s {config.redis.removeprefix('unix://')}" if config.redis_url is None else "-u $COPYDESK_REDIS_URL"
        )
        say(f"Copydesk serves the lanes {lanes}. Submit with:  copydesk submit PATH")
        say(f"                     or from any language:  redis-cli {redis_cli} -x XADD documents '*' raw < story.md")
        stopped.wait()
        say("Stopping: running batches are finished first.")
    return Exit.OK
