"""`copydesk retract`: retract documents by URL or key."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from worker.cli.local_stack import open_store, writer
from worker.cli.terminal import plain
from worker.errors import Exit
from worker.pipeline import normal_key
from worker.producer.client import submit_entry
from worker.queries.explanation import explain
from worker.settings import settings
from worker.telemetry.failpoints import failpoint


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: copydesk retract https://www.harbour-courier.example/news/business/article243103.html --yes"
    )(retract)


def retract(
    wanted: Annotated[str, typer.Argument(metavar="URL|KEY", help="the article's URL, or the producer's key")],
    source: Annotated[str | None, typer.Option(help="only documents of this source")] = None,
    lane: Annotated[
        str | None, typer.Option(help="the lane to use; by default the first that may speak for the source")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do it; without, only say what would be retracted")] = False,
) -> int:
    """Retract the documents that have a key or show a URL.

    Older versions of them that arrive later are retracted too. Without --yes: say what would be retracted.
    """
    config = settings()
    engine = open_store(config)
    with engine.connect() as connection:
        life = explain(connection, wanted, limit=10_000)
    engine.dispose()
    article = life["article"]
    is_url = wanted.startswith(("http://", "https://"))
    # One retraction by the article's URL reaches all documents of a source that show it, also those in flight.
    found = {
        (one["source"], article["url"] if article and is_url and one["tells"] else one["key"])
        for one in life["documents"]
        if not one["retracted"] and source in (None, one["source"])
        and (one["key"] in (wanted, normal_key(wanted)) or (is_url and one["tells"]))
    }  # fmt: skip
    if not found:
        typer.echo("No live document has this key or tells this URL.", err=True)
        return Exit.REJECTED
    if lane is not None and lane not in [known.name for known in config.lane_list]:
        raise typer.BadParameter(f"{lane!r} is no lane of COPYDESK_LANES")
    with writer(config) if yes else contextlib.nullcontext() as client:
        for speaker, key in sorted(found):
            label = plain(f"{speaker} / {key}")
            # A lane with a fixed source cannot be used for another source.
            fitting = [known.name for known in config.lane_list if known.source in (None, speaker)]
            target = lane or next(iter(fitting), None)
            if target not in fitting:
                raise typer.BadParameter(
                    f"{f'the lane {lane} cannot' if lane else 'no lane can'} retract {label}: it fixes another source"
                )
            if client is None:
                typer.echo(f"would retract {label}")
                continue
            id_ = submit_entry(client, target, None, source=speaker, key=key, op="retract")
            failpoint("retract.sent")
            typer.echo(f"{id_}\t{label}")
    if not yes:
        typer.echo("A dry run: with --yes they are retracted.", err=True)
    return Exit.OK
