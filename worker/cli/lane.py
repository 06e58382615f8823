"""`copydesk lane`: list, pause, resume and repair lanes."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from worker.cli.groups import Group
from worker.cli.local_stack import reader, writer
from worker.cli.options import require_lane
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
    lanes = _lanes()
    if json_:
        for lane in lanes:
            print_json(asdict(lane))
        return Exit.OK
    table = Table(box=None, show_edge=False, pad_edge=False, header_style="bold dim", padding=(0, 2, 0, 0))
    for name in ("lane", "weight", "backlog", "pending", "state"):
        table.add_column(name, justify="right" if name in ("weight", "backlog", "pending") else "left")
    for lane in lanes:
        pause = lane.paused
        state = f"paused by {plain(pause.who)} at {pause.at}: {plain(pause.why)}" if pause else "active"
        table.add_row(lane.lane, str(lane.weight), f"{lane.backlog:,}", f"{lane.pending:,}", state)
    data_console().print(table)
    return Exit.OK


@dataclass(frozen=True, slots=True)
class _Pause:
    who: str
    at: str
    why: str
    by: str


@dataclass(frozen=True, slots=True)
class _Lane:
    """A lane as `lane list --json` prints it."""

    lane: str
    weight: int
    source: str | None
    added: int
    backlog: int
    pending: int
    paused: _Pause | None


def _lanes() -> list[_Lane]:
    config, lanes = settings(), []
    with reader(config) as client:
        pauses = paused(client)
        for lane in config.lane_list:
            queue = LeaseQueue(client, lane.name)
            queue.ensure()
            added, backlog, pending, _ = queue.counts()
            pause = pauses.get(lane.name)
            shown = _Pause(pause.who, _time(pause.at), pause.why, pause.by) if pause else None
            lanes.append(_Lane(lane.name, lane.weight, lane.source, added, backlog, pending, shown))
    return lanes


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def pause(
    name: Name,
    reason: Annotated[str, typer.Option(help="why it is paused; others see it")] = "no reason given",
    json_: Json = False,
) -> int:
    """Pause a lane until it is resumed. It still accepts documents."""
    _require_lane(name)
    with writer(settings()) as client:
        is_changed = lane_pauses.pause(client, name, lane_pauses.Pause(operator(), time.time(), reason))
    return _print_change(name, is_changed, f"{name} is {'' if is_changed else 'already '}paused", as_json=json_)


def resume(name: Name, json_: Json = False) -> int:
    """Resume a lane. The circuit breaker starts to count again."""
    _require_lane(name, or_paused=True)
    with writer(settings()) as client:
        is_changed = lane_pauses.resume(client, name)
    return _print_change(name, is_changed, f"{name} {'is resumed' if is_changed else 'was not paused'}", as_json=json_)


def _require_lane(name: str, *, or_paused: bool = False) -> None:
    if or_paused and name not in [lane.name for lane in settings().lane_list]:
        with writer(settings()) as client:
            if name in paused(client):  # a lane that is not configured any more can be resumed too
                return
    require_lane(settings(), name)


def _print_change(name: str, is_changed: bool, sentence: str, *, as_json: bool) -> int:
    if as_json:
        print_json({"lane": name, "changed": is_changed})
    else:
        typer.echo(sentence)
    return Exit.OK
