"""`copydesk metrics`: serve the metrics of all workers to Prometheus."""

from __future__ import annotations

from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from worker.cli.exits import print_message
from worker.cli.local_stack import reader
from worker.errors import Exit
from worker.monitoring.exporter import CopydeskCollector
from worker.queue.connection import connect
from worker.settings import settings
from worker.store.engine import make_engine
from worker.telemetry import logs
from worker.telemetry.metrics import documentation

_TIMEOUT_SECONDS = 2.0  # a call may take twice as long: once on the old connection, once to open a new one


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk metrics --once")(metrics)


def metrics(
    listen: Annotated[str, typer.Option(help="address:port to serve on")] = "127.0.0.1:9464",
    no_server: Annotated[bool, typer.Option("--once", help="print the metrics once and end")] = False,
    list_: Annotated[bool, typer.Option("--list", help="print every metric with its meaning, as Markdown")] = False,
) -> int:
    """Serve the metrics of all workers to Prometheus.

    One process is enough for all machines: it reads Redis and the store at each scrape of /metrics. It shows no document;
    still, bind it to an address that only Prometheus reaches.
    """
    if list_:
        typer.echo(documentation(), nl=False)
        return Exit.OK
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise typer.BadParameter("--listen takes address:port, such as 127.0.0.1:9464")
    config = settings()
    if no_server and config.redis_url is None:
        reader(config).close()
    logs.configure(form=config.log_format, level=config.log_level)
    registry = CollectorRegistry(auto_describe=False)
    # A silent server must not cost the scrape of the other one: Prometheus waits for ten seconds in all.
    quick = config.model_copy(
        update={"statement_seconds": _TIMEOUT_SECONDS, "idle_transaction_seconds": _TIMEOUT_SECONDS}
    )
    client = connect(config.redis, retries=0, socket_timeout=_TIMEOUT_SECONDS)
    registry.register(CopydeskCollector(config, client, make_engine(quick, pooled=False)))
    if no_server:
        typer.echo(generate_latest(registry).decode(), nl=False)
        return Exit.OK
    _, thread = start_http_server(int(port), addr=host.strip("[]"), registry=registry)
    print_message(f"Prometheus finds the metrics at http://{listen}/metrics")
    thread.join()
    return Exit.OK
