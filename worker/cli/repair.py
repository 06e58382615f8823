"""`copydesk lane repair`: repair a lane whose producer trimmed it or added ids in the future."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.local_stack import writer
from worker.cli.options import require_lane
from worker.cli.recording import record_action
from worker.errors import Exit
from worker.jobs import lane_repair
from worker.queue.lease_queue import LeaseQueue
from worker.settings import settings


def repair(
    name: Annotated[str, typer.Argument(metavar="LANE", help="the lane's name")],
    yes: Annotated[bool, typer.Option("--yes", help="do it; without, only show what would be done")] = False,
) -> int:
    """Repair a lane whose producer chose ids in the future, or trimmed it.

    The remaining entries are kept and get new ids. Entries that were trimmed are lost and are counted as `vanished`.
    """
    config = settings()
    require_lane(config, name)
    with writer(config) as client:
        queue = LeaseQueue(client, name)
        queue.ensure()
        state = queue.state()
        fault = lane_repair.fault(state, lane_repair.server_ms(client))
        vanished = lane_repair.vanished(state)
        if not fault and vanished <= 0 and not state.aside:
            typer.echo(f"{name}: nothing to repair")
            return Exit.OK
        if not yes:
            typer.echo(
                f"{name}: would give its entries current ids ({fault})" if fault else f"{name}: its ids are valid"
            )
            if state.aside:
                typer.echo(
                    f"{name}: would add {state.aside:,} entries again, which an interrupted repair has set aside"
                )
            typer.echo(f"{name}: would count {max(vanished, 0):,} entries as vanished")
            typer.echo("A dry run: nothing was changed. Add --yes to repair the lane.", err=True)
            return Exit.OK
        done = lane_repair.repair(queue)
    record_action("lane repair", name)
    typer.echo(f"{name}: {done.readded:,} entries have new ids, {done.vanished:,} are counted as vanished")
    return Exit.OK
