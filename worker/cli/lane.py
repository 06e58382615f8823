"""`copydesk lane`: list, pause, resume and repair lanes, and pause and resume single sources of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from schemas.envelope import is_source
from worker.cli.groups import Group
from worker.cli.local_stack import reader, writer
from worker.cli.options import require_lane
from worker.cli.recording import record_action
from worker.cli.repair import repair
from worker.cli.source_hint import hint_if_unknown
from worker.cli.tables import data_console
from worker.cli.terminal import plain, print_json
from worker.dead_letters.replay import operator
from worker.errors import Exit
from worker.jobs.lane_repair import wrong_keys
from worker.monitoring.source_pauses import resume_command
from worker.queue.clock import server_time
from worker.queue.lease_queue import LeaseQueue
from worker.queue.pauses import lane_pauses
from worker.queue.pauses.lane_pauses import paused
from worker.queue.pauses.source_pauses import pause_source, paused_sources, resume_source
from worker.settings import settings

Name = Annotated[str, typer.Argument(metavar="LANE", help="a lane of COPYDESK_LANES")]
Source = Annotated[
    str | None, typer.Option(help="only this source of the lane; documents without one have the name of the lane")
]
Json = Annotated[bool, typer.Option("--json", help="one JSON object a lane")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(cls=Group, help="List, pause, resume and repair lanes.", no_args_is_help=True)
    group.command("list", epilog="Example: copydesk lane list")(list_)
    group.command(epilog="Example: copydesk lane pause documents --source my-crawler --reason 'it sends nonsense'")(
        pause
    )
    group.command(epilog="Example: copydesk lane resume documents --source my-crawler")(resume)
    group.command(epilog="Example: copydesk lane repair documents --yes")(repair)
    app.add_typer(group, name="lane")


def list_(json_: Json = False) -> int:
    """Show the lanes: weight, backlog, and what is paused, by whom and why."""
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
        state = f"cannot be used: {lane.fault}" if lane.fault else state
        table.add_row(lane.lane, str(lane.weight), f"{lane.backlog:,}", f"{lane.pending:,}", state)
        for one in lane.paused_sources:
            state = f"paused by {plain(one.who)} at {one.at}: {plain(one.why)}"
            table.add_row(f"  source {plain(one.source)}", "", f"{one.documents:,}", "", state)
    data_console().print(table)
    return Exit.OK


@dataclass(frozen=True, slots=True)
class _Pause:
    who: str
    at: str
    why: str
    by: str


@dataclass(frozen=True, slots=True)
class _SourcePause:
    source: str
    documents: int
    who: str
    at: str
    why: str
    by: str


@dataclass(frozen=True, slots=True)
class _Lane:
    """A lane as `lane list --json` prints it. `backlog` contains the documents of paused sources, `pending` does not."""

    lane: str
    weight: int
    source: str | None
    added: int
    backlog: int
    pending: int
    paused: _Pause | None
    paused_sources: list[_SourcePause]
    fault: str | None = None
    """Why the lane cannot be used."""


def _lanes() -> list[_Lane]:
    config, lanes = settings(), []
    with reader(config) as client:
        pauses = paused(client)
        for lane in config.lane_list:
            pause = pauses.get(lane.name)
            shown = _Pause(pause.who, _time(pause.at), pause.why, pause.by) if pause else None
            if wrong := wrong_keys(client, lane.name):
                lanes.append(_Lane(lane.name, lane.weight, lane.source, 0, 0, 0, shown, [], str(wrong[0])))
                continue
            queue = LeaseQueue(client, lane.name)
            queue.ensure()
            counts = queue.counts()
            sources = [
                _SourcePause(source, counts.paused.get(source, 0), one.who, _time(one.at), one.why, one.by)
                for source, one in sorted(paused_sources(client, lane.name).items())
            ]
            lanes.append(
                _Lane(lane.name, lane.weight, lane.source, counts.added, counts.backlog, counts.pending, shown, sources)
            )
    return lanes


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def pause(
    name: Name,
    source: Source = None,
    reason: Annotated[str, typer.Option(help="why it is paused; others see it")] = "no reason given",
    json_: Json = False,
) -> int:
    """Pause a lane, or one source of it, until it is resumed.

    Documents are still accepted, and wait. A pause of a source is about this lane only, and its other sources are served.
    """
    _require_lane(name)
    _require_source(name, source)
    with writer(settings()) as client:
        why = lane_pauses.Pause(operator(), server_time(client), reason)
        is_changed = lane_pauses.pause(client, name, why) if source is None else pause_source(client, name, source, why)
    if is_changed:
        record_action("lane pause", _subject(name, source), reason)
    if source is not None:
        hint_if_unknown(source)
    sentence = f"{_subject(name, source)} is {'' if is_changed else 'already '}paused"
    return _print_change(name, source, is_changed, sentence, as_json=json_)


def resume(name: Name, source: Source = None, json_: Json = False) -> int:
    """Resume a lane, or one source of it.

    The circuit breaker starts to count again. What waited keeps its order: it never overwrites a newer version.
    """
    _require_lane(name, or_paused=True)
    with writer(settings()) as client:
        if source is None:
            is_changed = lane_pauses.resume(client, name)
            others = sorted(paused_sources(client, name))
        else:
            is_changed, others = resume_source(client, name, source), []
    if is_changed:
        record_action("lane resume", _subject(name, source))
    sentence = f"{_subject(name, source)} {'is resumed' if is_changed else 'was not paused'}"
    if others:
        sentence += f"; {len(others):,} of its sources are still paused: {resume_command(name, others[0])}"
    return _print_change(name, source, is_changed, sentence, as_json=json_)


def _subject(lane: str, source: str | None) -> str:
    return lane if source is None else f"source {plain(source)} of lane {lane}"


def _require_lane(name: str, *, or_paused: bool = False) -> None:
    if or_paused and name not in [lane.name for lane in settings().lane_list]:
        with writer(settings()) as client:
            # A lane that is not configured any more can be resumed too.
            if name in paused(client) or paused_sources(client, name):
                return
    require_lane(settings(), name)


def _require_source(lane: str, source: str | None) -> None:
    """Raise typer.BadParameter if no document of the lane can have this source, or if each one has it."""
    if source is None:
        return
    if not is_source(source):
        raise typer.BadParameter("a source has 1 to 200 characters and no control characters", param_hint="--source")
    if any(one.name == lane and one.source is not None for one in settings().lane_list):
        raise typer.BadParameter(f"all documents of lane {lane} have one source: pause the lane", param_hint="--source")


def _print_change(name: str, source: str | None, is_changed: bool, sentence: str, *, as_json: bool) -> int:
    if as_json:
        print_json({"lane": name, **({} if source is None else {"source": source}), "changed": is_changed})
    else:
        typer.echo(sentence)
    return Exit.OK
