"""`copydesk audit`: check that all entries are accounted for."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from worker.cli.local_stack import open_store, reader, require_servers
from worker.cli.terminal import plain, print_json
from worker.errors import Exit
from worker.monitoring.lane_faults import StoreBehind, lane_faults
from worker.monitoring.status import LaneStatus
from worker.monitoring.unserved_streams import UnservedStream, unserved_streams
from worker.settings import settings


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk audit")(audit)


def audit(json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False) -> int:
    """Check that every entry has an outcome or still waits.

    It counts all entries that were ever added to each lane, and checks that the store has the newest of them. It also
    says whether the store has background work left, and names streams with documents that no lane serves.
    """
    config = settings()
    require_servers(config)
    with reader(config) as client:
        # Imported after Redis has answered: it takes half a second, and an unreachable server is reported within 3 s.
        from worker.jobs.lane_repair import store_behind
        from worker.jobs.reenrichment import is_work_left
        from worker.monitoring.snapshot import MinuteCache, read_queue

        if config.redis_url is not None:
            from worker.runtime.embedded.local_stack import LocalStack

            with LocalStack(config, with_worker=False):  # creates a missing store
                pass
        engine = open_store(config)
        queue = read_queue(config, client, MinuteCache(client))
        audited: list[tuple[LaneStatus, StoreBehind | None]] = []
        for lane in (*queue.lanes, queue.internal):
            # Entries that somebody deleted have the same effect; they are already reported as vanished.
            is_whole = not lane.missing and not lane.aside
            ids = store_behind(client, engine, lane.lane) if is_whole else None
            audited.append((lane, _store_behind(*ids) if ids else None))
        work_left = is_work_left(engine)
        unserved = unserved_streams(client, [lane.name for lane in config.lane_list])
        engine.dispose()
    sound = all(lane.missing == lane.aside == 0 and lane.fault is None and behind is None for lane, behind in audited)
    if json_:
        _print_json(sound, audited, unserved, work_left=work_left)
    else:
        for lane, behind in audited:
            _print_lane(lane, behind)
        if work_left:
            typer.echo(
                "store: background work is left, so heat, images, names and links may still change: copydesk status"
            )
        for stream in unserved:
            typer.echo(plain(stream.sentence))
    return Exit.OK if sound else Exit.UNSOUND


def _print_json(
    sound: bool,
    audited: list[tuple[LaneStatus, StoreBehind | None]],
    unserved: list[UnservedStream],
    *,
    work_left: bool,
) -> None:
    lanes = [{**asdict(lane), "store_behind": asdict(behind) if behind else None} for lane, behind in audited]
    streams = [asdict(stream) for stream in unserved]
    print_json({"sound": sound, "lanes": lanes, "work_left": work_left, "unserved": streams})


def _print_lane(lane: LaneStatus, behind: StoreBehind | None) -> None:
    if lane.fault == "wrong_type":
        typer.echo(lane_faults(lane)[0])
        return
    summary = "the sum holds" if lane.missing == 0 else "the sum does not hold"
    aside = f"{lane.aside:,} set aside, " if lane.aside else ""
    counts = f"{lane.added:,} added, {lane.settled:,} with an outcome, {aside}{lane.backlog:,} waiting"
    typer.echo(f"{lane.lane}: {counts}: {summary}")
    for sentence in lane_faults(lane, behind):
        typer.echo(sentence)


def _store_behind(stored: str | None, left: str) -> StoreBehind:
    def moment(id_: str) -> str:
        return datetime.fromtimestamp(int(id_.partition("-")[0]) / 1000, UTC).isoformat(timespec="seconds")

    return StoreBehind(stored, moment(stored) if stored else None, left, moment(left))
