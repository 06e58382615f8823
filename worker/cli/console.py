"""`copydesk console`: serve the web console for operators."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from worker.cli.exits import print_message
from worker.cli.local_stack import ServersNotStarted, open_store, quick_client, require_servers, why_no_answer
from worker.errors import Exit
from worker.queue.connection_faults import connection_fault
from worker.settings import Settings, settings
from worker.store.engine import driver_error
from worker.telemetry import logs
from worker.telemetry.redaction import mask


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk console --port 8600")(console)


def console(
    host: Annotated[
        str, typer.Option(help="address to serve on; other machines need COPYDESK_CONSOLE_TOKEN")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="port to serve on")] = 8600,
    public: Annotated[
        list[str] | None, typer.Option("--public-name", help="a host name under which a proxy serves it")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(exists=True, help="PEM file of the certificate: serve with TLS")
    ] = None,
    key: Annotated[Path | None, typer.Option(exists=True, help="PEM file of the private key")] = None,
) -> int:
    """Serve the web console for operators.

    It shows status, live outcomes, search, articles, stories, dead letters, lanes and sources. It starts no other server:
    run copydesk up first, or set COPYDESK_REDIS_URL and COPYDESK_DATABASE_URL.
    """
    try:
        from worker.console.server import UnsafeConsole, is_loopback, serve
    except ModuleNotFoundError as error:
        print_message(f"copydesk: the console needs {error.name}: pip install 'copydesk[console]'")
        return Exit.USAGE
    config = settings()
    require_servers(config)
    logs.configure_for(config)
    logs.name_unknown_settings()
    shown = f"[{host.strip('[]')}]" if ":" in host else host
    scheme = "https" if certificate else "http"

    def announce() -> None:
        print_message(
            f"The console is at {scheme}://{shown}:{port}" + ("" if is_loopback(host) else ", with its token")
        )
        _name_unreachable_servers(config)

    try:
        serve(
            config,
            host=host,
            port=port,
            announce=announce,
            public=tuple(public or ()),
            certificate=certificate,
            key=key,
        )
    except UnsafeConsole as error:
        print_message(f"copydesk: {error}")
        return Exit.USAGE
    return Exit.OK


def _name_unreachable_servers(config: Settings) -> None:
    """Print which servers do not answer. The console runs nevertheless, and shows them as soon as they do."""
    try:
        with quick_client(config) as client:
            client.ping()
    except (RedisError, OSError) as error:
        fault = connection_fault(config.redis, error)
        lines = why_no_answer(config, error) if config.redis_url is None else [f"{fault.cause}.", fault.remedy]
        _print_unreachable(lines)
    try:
        with open_store(config).connect():
            pass
    except ServersNotStarted as missing:
        _print_unreachable(str(missing).splitlines())
    except SQLAlchemyError as error:
        _print_unreachable([f"The store cannot be used: {' '.join(str(driver_error(error)).split())}"])


def _print_unreachable(lines: list[str]) -> None:
    for number, line in enumerate(lines):
        print_message(f"{'' if number else 'copydesk: '}{mask(line.strip())}")
    print_message("The pages say so too, and show the data as soon as the server answers.")
