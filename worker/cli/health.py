"""`copydesk health`: a check for orchestrators and operators."""

from __future__ import annotations

import socket
from typing import Annotated

import typer
from redis import RedisError

from worker.cli.local_stack import ServersNotStarted, open_store, quick_client, why_no_answer
from worker.cli.terminal import plain, print_json
from worker.errors import Exit
from worker.monitoring.health import Health, as_json, check
from worker.settings import Settings, settings
from worker.telemetry.logs import mask


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk health --json")(health)


def health(
    here: Annotated[
        bool, typer.Option("--here", help="count only the workers of this machine (for the check of a container)")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> int:
    """Say whether documents are processed, and if not, why.

    It reads the heartbeats of the workers and sends them nothing. Exit code 0: healthy, or degraded (a lane is paused,
    memory is low: a restart would not help); 3: Redis or the store cannot be used; 4: no worker is consuming.
    """
    config = settings()
    result = _check(config, socket.gethostname() if here else None)
    if json_:
        print_json(as_json(result))
    else:
        typer.echo(result.summary)
        for reason in result.reasons:
            typer.echo(f"  {plain(mask(reason.strip()))}")
    if result.unreachable:
        return Exit.UNREACHABLE
    return Exit.UNSOUND if result.wrong else Exit.OK


def _check(config: Settings, host: str | None) -> Health:
    engine, missing_store = None, list[str]()
    try:
        engine = open_store(config)
    except ServersNotStarted as error:
        missing_store = str(error).splitlines()
        if config.redis_url is None:
            return Health(unreachable=missing_store)
    with quick_client(config) as client:
        result = check(config, client, engine, host=host)
        if config.redis_url is None and result.unreachable:
            try:
                client.ping()
            except (RedisError, OSError) as error:
                of_store = [reason for reason in result.unreachable if not reason.startswith("Redis ")]
                result.unreachable = [*why_no_answer(config, error), *of_store]
    if engine is not None:
        engine.dispose()
    result.unreachable += missing_store
    return result
