"""`copydesk lane repair`: repair a lane whose producer trimmed it or added ids in the future."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.local_stack import writer
from worker.errors import Exit
from worker.jobs import lane_repair
from worker.queue.lease_queue import LeaseQueue
from worker.settings import settings


def repair(
    name: Annotated[str, typer.Argument(metavar="LANE", help="the lane's name")],
    yes: Annotated[bool, typer.Option("--yes", help="do it; without, only say what would be done")] = False,
) -> int:
    """Repair a lane whose producer chose ids in the future, or trimmed it.

    Entries that are still there are kept and get new ids; what was trimmed is gone, and is counted as `vanished`.
    """
    config = settings()
    if name not in [lane.name for lane in config.lane_list]:
        raise typer.BadParameter(f"{name!r} is no lane of COPYDESK_LANES")
    with writer(config) as client:
        queue = LeaseQueue(client, name)
        queue.ensure()
        state = queue.state()
        found = lane_repair.fault(state, lane_repair.server_ms(client))
        gone = lane_repair.vanished(state)
        if not found and gone <= 0 and not state.aside:
            typer.echo(f"{name}: nothing to repair")
            return Exit.OK
        if not yes:
            typer.echo(
                f"{name}: would bring its ids back to the present ({found})" if found else f"{name}: ids are fine"
            )
            if state.aside:
                typer.echo(
                    f"{name}: would add the {state.aside:,} entries again that an interrupted repair has set aside"
                )
            typer.echo(f"{name}: would note {max(gone, 0):,} entries as vanished")
            typer.echo("A dry run: with --yes it is done.", err=True)
            return Exit.OK
        done = lane_repair.repair(queue)
    typer.echo(f"{name}: {done.readded:,} entries have new ids, {done.vanished:,} noted as vanished")
    return Exit.OK
