"""`copydesk up`: run servers and a worker until stopped."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.exits import print_message
from worker.cli.open_files import require_open_files
from worker.errors import Exit
from worker.runtime.embedded.local_stack import LocalStack
from worker.runtime.embedded.ownership import valkey_of
from worker.settings import settings
from worker.telemetry import logs

_STOP_SECONDS = 10.0
"""How long other commands that use the embedded Valkey may delay its stop."""


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk up")(up)


def up(
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="also serve the embedded Valkey on this TCP port of 127.0.0.1; 0: no port"),
    ] = 0,
) -> int:
    """Serve on this machine with Valkey and SQLite built in.

    It starts a worker, and the servers that are not configured, until you stop it (Ctrl-C or SIGTERM). With --port every
    program and user of this machine can read and write the queue: use it only to try crawlers.
    """
    config = settings()
    if port and config.redis_url is not None:
        raise typer.BadParameter("--port is for the embedded Valkey, but COPYDESK_REDIS_URL names another server")
    require_open_files(config.concurrency)
    logs.configure_for(config)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    if port:
        _require_free(port, config.data_dir)
    with LocalStack(config, must_own=config.redis_url is None, port=port, stop_seconds=_STOP_SECONDS) as stack:
        lanes = ", ".join(lane.name for lane in config.lane_list)
        redis_cli = (
            f"-s {config.redis.removeprefix('unix://')}" if config.redis_url is None else "-u $COPYDESK_REDIS_URL"
        )
        print_message(f"Copydesk serves the lanes {lanes}. Submit with:  copydesk submit PATH")
        print_message(
            f"                     or from any language:  redis-cli {redis_cli} -x XADD documents '*' raw < story.md"
        )
        if port:
            print_message(f"          or by TCP, on this machine only:  export REDIS_URL=redis://127.0.0.1:{port}/0")
        stopped.wait()
        is_lost = stack.is_lost
        print_message("Stopping after the running batches.")
    return Exit.UNREACHABLE if is_lost else Exit.OK


def _require_free(port: int, data_dir: Path) -> None:
    """Raise typer.BadParameter when another program uses the port.

    If our own Valkey uses it, `LocalStack` names its owner.
    """
    if valkey_of(data_dir) is not None:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise typer.BadParameter(f"port {port} of 127.0.0.1 cannot be used: {error.strerror}") from None
