"""`copydesk retract`: withdraw documents by URL or key."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.exits import Exit


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk retract https://harbour-courier.example/news/ferry-face-scans --yes")(retract)


def retract(
    wanted: Annotated[str, typer.Argument(metavar="URL|KEY", help="the article's URL, or the producer's key")],
    source: Annotated[str | None, typer.Option(help="only documents of this source")] = None,
    lane: Annotated[str | None, typer.Option(help="the lane to use; the first by default")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do it; without, only say what would be retracted")] = False,
) -> int:
    """Retract every live document that has this key or tells this URL; what others tell of the article stays."""
    from worker.cli.show import plain
    from worker.intake.connect import connect
    from worker.intake.producer import submit_entry
    from worker.operate.explain import explain
    from worker.settings import settings
    from worker.store.engine import make_engine

    config = settings()
    engine = make_engine(config, pooled=False)
    with engine.connect() as connection:
        told = explain(connection, wanted)["documents"]
    engine.dispose()
    found = [one for one in told if not one["retracted"] and source in (None, one["source"])]
    if not found:
        typer.echo("No live document has this key or tells this URL.", err=True)
        return Exit.REJECTED
    target = lane or config.lane_list[0].name
    for one in found:
        label = plain(f"{one['source']} / {one['key']}")
        if yes:
            with connect(config.redis) as client:
                id_ = submit_entry(client, target, None, source=one["source"], key=one["key"], op="retract")
            typer.echo(f"{id_}\t{label}")
        else:
            typer.echo(f"would retract {label}")
    if not yes:
        typer.echo("A dry run: with --yes they are retracted.", err=True)
    return Exit.OK
