"""`copydesk lane`: list, pause, resume and repair lanes."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from worker.cli.groups import Group
from worker.cli.local_stack import reader, writer
from worker.cli.repair import repair
from worker.cli.tables import data_console
from worker.cli.terminal import plain, print_json
from worker.dead_letters.replay import operator
from worker.errors import Exit
from worker.queue import lane_pauses
from worker.queue.lane_pauses import paused
from worker.queue.lease_queue import LeaseQueue
from worker.settings import settings

Name = Annotated[str, typer.Argument(metavar="LANE", help="a lane of COPYDESK_LANES")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object a lane")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(cls=Group, help="List, pause, resume and repair lanes.", no_args_is_help=True)
    group.command("list", epilog="Example: copydesk lane list")(list_)
    group.command(epilog="Example: copydesk lane pause documents --reason 'the crawler sends nonsense'")(pause)
    group.command(epilog="Example: copydesk lane resume documents")(resume)
    group.command(epilog="Example: copydesk lane repair documents --yes")(repair)
    app.add_typer(group, name="lane")


def list_(json_: Json = False) -> int:
    """Show the lanes: weight, backlog, and who paused them and why."""
    found = _lanes()
    if json_:
        for lane in found:
            print_json(lane)
        return Exit.OK
    table = Table(box=None, show_edge=False, pad_edge=False, header_style="bold dim", padding=(0, 2, 0, 0))
    for name in ("lane", "weight", "backlog", "pending", "state"):
        table.add_column(name, justify="right" if name in ("weight", "backlog", "pending") else "left")
    for lane in found:
        held = lane["paused"]
        state = f"paused by {plain(held['who'])} at {held['at']}: {plain(held['why'])}" if held else "served"
        table.add_row(lane["lane"], str(lane["weight"]), f"{lane['backlog']:,}", f"{lane['pending']:,}", state)
    data_console().print(table)
    return Exit.OK


def _lanes() -> list[dict[str, Any]]:
    config, found = settings(), []
    with reader(config) as client:
        held = paused(client)
        for lane in config.lane_list:
            queue = LeaseQueue(client, lane.name)
            queue.ensure()
            added, backlog, pending, _ = queue.counts()
            pause = held.get(lane.name)
            found.append(
                {
                    "lane": lane.name, "weight": lane.weight, "source": lane.source, "added": added, "backlog": backlog,
                    "pending": pending,
                    "paused": {"who": pause.who, "at": _time(pause.at), "why": pause.why, "by": pause.by} if pause else None,
                }
            )  # fmt: skip
    return found


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def pause(
    name: Name,
    reason: Annotated[str, typer.Option(help="why, for others who find it paused")] = "no reason given",
    json_: Json = False,
) -> int:
    """Pause a lane until it is resumed. It still accepts documents."""
    _known(name)
    with writer(settings()) as client:
        done = lane_pauses.pause(client, name, lane_pauses.Pause(operator(), time.time(), reason))
    return _tell(name, json_, done, "is paused", "was paused already; it stays as it was")


def resume(name: Name, json_: Json = False) -> int:
    """Resume a lane. The circuit breaker starts to count again."""
    _known(name, or_paused=True)
    with writer(settings()) as client:
        done = lane_pauses.resume(client, name)
    return _tell(name, json_, done, "is served again", "was not paused")


def _known(name: str, *, or_paused: bool = False) -> None:
    known = [lane.name for lane in settings().lane_list]
    if name in known:
        return
    if or_paused:  # a lane that is not configured any more can be resumed too
        with writer(settings()) as client:
            if name in paused(client):
                return
    raise typer.BadParameter(f"there is no lane {name!r}: there are {', '.join(known)}")


def _tell(name: str, json_: bool, done: bool, yes: str, no: str) -> int:
    if json_:
        print_json({"lane": name, "changed": done})
    else:
        typer.echo(f"{name} {yes if done else no}")
    return Exit.OK
