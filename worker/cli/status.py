"""`copydesk status`: backlog and outcomes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from worker.cli.exits import Exit


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk status --json")(status)


def status(json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False) -> int:
    """Show the lanes with their backlog, the outcomes so far, and open dead letters by code."""
    from rich.table import Table

    from worker.cli.show import data_console, outcome_table, print_json
    from worker.intake.connect import connect
    from worker.operate.figures import figures
    from worker.runtime.supervisor import Desk
    from worker.settings import settings
    from worker.store.engine import make_engine

    config = settings()
    with Desk(config, with_worker=False), connect(config.redis) as client:
        engine = make_engine(config, pooled=False)
        found = figures(config, client, engine)
        engine.dispose()
    if json_:
        print_json(found)
        return Exit.OK
    out = data_console()
    table = Table(title="Lanes", title_justify="left", show_edge=False, pad_edge=False)
    for name in ("lane", "added", "settled", "backlog", "pending", "oldest"):
        table.add_column(name, justify="left" if name == "lane" else "right")
    for lane in found["lanes"]:
        oldest = "" if lane["oldest_seconds"] is None else f"{lane['oldest_seconds']:,.1f} s"
        table.add_row(lane["lane"], *(f"{lane[name]:,}" for name in ("added", "settled", "backlog", "pending")), oldest)
    out.print(table)
    for lane in found["lanes"]:
        out.print(_sum(lane), soft_wrap=True)
    out.print()
    out.print(outcome_table(found["outcomes"]))
    if found["dead_letters"]:
        out.print()
        dead = Table(title="Open dead letters", title_justify="left", show_edge=False, pad_edge=False)
        dead.add_column("code")
        dead.add_column("documents", justify="right")
        for code, count in found["dead_letters"].items():
            dead.add_row(code, f"{count:,}")
        out.print(dead)
    out.print()
    out.print(
        "In the store: " + ", ".join(f"{count:,} {name}" for name, count in found["store"].items()), soft_wrap=True
    )
    if found["behind"]:
        out.print(f"{found['behind']:,} articles are of an older pipeline: copydesk reprocess --behind", soft_wrap=True)
    for work in found["enriching"]:
        out.print(_work(work), soft_wrap=True)
    return Exit.OK


def _work(work: dict[str, Any]) -> str:
    if work["kind"] == "names":
        return f"enriching: the names of provider {work['subject']} are to be counted"
    whose = f"the articles of provider {work['subject']}" if work["subject"] else "all articles"
    return f"enriching: {whose}, {work['done']:,} of {work['total']:,} done, because a reference document changed"


def _sum(lane: dict[str, Any]) -> str:
    line = f"{lane['lane']}: {lane['added']:,} added = {lane['settled']:,} with an outcome + {lane['backlog']:,} in the backlog"
    return line if not lane["missing"] else f"{line}, and {lane['missing']:,} removed by somebody else (copydesk audit)"
