"""`copydesk audit`: check that all entries are accounted for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from worker.cli.local_stack import open_store, reader, require_servers
from worker.cli.terminal import print_json
from worker.errors import Exit
from worker.settings import settings


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk audit")(audit)


def audit(json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False) -> int:
    """Check that every entry has an outcome or still waits.

    It counts all entries that were ever added to each lane, and checks that the store has the newest of them.
    """
    config = settings()
    require_servers(config)
    with reader(config) as client:
        # Imported after Redis has answered: it takes half a second, and an unreachable server is reported within 3 s.
        from worker.jobs.lane_repair import sentences, store_behind
        from worker.monitoring.snapshot import figures

        if config.redis_url is not None:
            from worker.runtime.embedded.local_stack import LocalStack

            with LocalStack(config, with_worker=False):  # creates a missing store
                pass
        engine = open_store(config)
        snapshot = figures(config, client, engine)
        lanes = [*snapshot["lanes"], snapshot["internal"]]
        for lane in lanes:
            # Entries that somebody deleted have the same effect; they are already reported as vanished.
            whole = not lane["missing"] and not lane["aside"]
            behind = store_behind(client, engine, lane["lane"]) if whole else None
            lane["store_behind"] = _told(*behind) if behind else None
        engine.dispose()
    sound = all(
        lane["missing"] == lane["aside"] == 0 and lane["fault"] is None and lane["store_behind"] is None
        for lane in lanes
    )
    if json_:
        print_json({"sound": sound, "lanes": lanes})
    else:
        for lane in lanes:
            summary = "the sum holds" if lane["missing"] == 0 else "the sum does not hold"
            aside = f"{lane['aside']:,} set aside, " if lane["aside"] else ""
            typer.echo(
                f"{lane['lane']}: {lane['added']:,} added, {lane['settled']:,} with an outcome, {aside}"
                f"{lane['backlog']:,} waiting: {summary}"
            )
            for sentence in sentences(lane):
                typer.echo(sentence)
    return Exit.OK if sound else Exit.UNSOUND


def _told(stored: str | None, left: str) -> dict[str, str | None]:
    def moment(id_: str) -> str:
        return datetime.fromtimestamp(int(id_.partition("-")[0]) / 1000, UTC).isoformat(timespec="seconds")

    return {"stored": stored, "stored_at": moment(stored) if stored else None, "left": left, "left_at": moment(left)}
