"""`copydesk lane repair`: repair a lane whose producer trimmed it or added ids in the future, or whose key is no stream."""

from __future__ import annotations

from typing import Annotated

import redis
import typer

from worker.cli.local_stack import writer
from worker.cli.options import require_lane
from worker.cli.recording import record_action
from worker.errors import Exit
from worker.jobs import lane_repair
from worker.jobs.wrong_keys import new_name
from worker.queue.lease_queue import LeaseQueue
from worker.settings import INTERNAL_LANE, settings


def repair(
    name: Annotated[str, typer.Argument(metavar="LANE", help="the lane's name")],
    yes: Annotated[bool, typer.Option("--yes", help="do it; without, only show what would be done")] = False,
) -> int:
    """Repair a lane that was trimmed or overwritten, or has ids in the future.

    The remaining entries are kept and get new ids. Entries that were trimmed are lost and are counted as `vanished`. A
    key that holds something else is renamed, and the lane begins again. LANE may be copydesk:internal, too.
    """
    config = settings()
    if name != INTERNAL_LANE:
        require_lane(config, name)
    with writer(config) as client:
        if _rename_keys(client, name, yes=yes):
            return Exit.OK
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


def _rename_keys(client: redis.Redis, lane: str, *, yes: bool) -> bool:
    """Rename the keys of the lane that hold something else; return whether there are any. Without `yes` only say so."""
    wrong = lane_repair.wrong_keys(client, lane)
    if not wrong:
        return False
    for one in wrong:
        typer.echo(f"{lane}: {one}; {'it is' if yes else 'would be'} renamed to {new_name(one.key)}")
    if not yes:
        typer.echo("A dry run: nothing was changed. Add --yes to repair the lane.", err=True)
        return True
    lane_repair.rename_keys(client, lane)
    LeaseQueue(client, lane).ensure()
    record_action("lane repair", lane)
    typer.echo(f"{lane}: what these keys held before is lost. See what is missing: copydesk audit")
    return True
