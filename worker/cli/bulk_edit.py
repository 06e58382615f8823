"""`copydesk dead mend`: make the same change to many dead letters, with a dry run that checks each."""

from __future__ import annotations

import difflib
import re
from itertools import islice
from typing import Annotated

import typer

from worker.cli.dead_filter import Code, Ids, Since, Source, Text, Yes, dead_filter, dead_store
from worker.cli.local_stack import writer
from worker.cli.terminal import plain, print_json
from worker.dead_letters import bulk_edit as operations
from worker.dead_letters.bulk_edit import Change, filtering, replacing, substituting
from worker.dead_letters.dry_run import DryRun
from worker.documents.limits import Limits
from worker.errors import Exit
from worker.settings import settings


def mend(
    ids: Ids = None,
    replace: Annotated[
        tuple[str, str] | None, typer.Option(help="OLD NEW: every OLD becomes NEW, as it stands")
    ] = None,
    regex: Annotated[
        tuple[str, str] | None, typer.Option(help=r"PATTERN NEW: every match becomes NEW (\1 is its first group)")
    ] = None,
    exec_: Annotated[
        str | None, typer.Option("--exec", help="a program that reads the document and writes the mended one")
    ] = None,
    source: Source = None,
    code: Code = None,
    since: Since = None,
    text: Text = None,
    yes: Yes = False,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> int:
    """Make the same change to many dead letters, and replay those that pass.

    The others stay as they are. Without --yes nothing changes: the change is tried on each, and the command says how many
    would pass, and why others would not.
    """
    change = _change(replace, regex, exec_)
    config, engine = settings(), dead_store()
    wanted, limits = dead_filter(ids, source, code, since, text), Limits(max_bytes=config.max_document_bytes)
    sent = 0
    if yes:
        with writer(config) as client:
            plan, sent = operations.bulk_edit(engine, client, wanted, change, limits)
    else:
        plan = operations.plan_for(engine, wanted, change, limits)
    if json_:
        print_json(
            {"passing": plan.passing, "failing": dict(plan.failing), "untouched": plan.untouched, "replayed": sent}
        )
        return Exit.OK
    _tell(plan, sent if yes else None)
    return Exit.OK


def _change(replace: tuple[str, str] | None, regex: tuple[str, str] | None, program: str | None) -> Change:
    given = [part for part in (replace, regex, program) if part]
    if len(given) != 1:
        raise typer.BadParameter("give one of --replace OLD NEW, --regex PATTERN NEW and --exec PROGRAM")
    if replace:
        if not replace[0]:
            raise typer.BadParameter("--replace needs a text to be replaced")
        return replacing(*replace)
    try:
        return substituting(*regex) if regex else filtering(str(program))
    except (re.error, ValueError, IndexError) as error:
        raise typer.BadParameter(str(error)) from error


def _tell(plan: DryRun, sent: int | None) -> None:
    untouched = f" (the change does not touch {plan.untouched:,} of them)" if plan.untouched else ""
    typer.echo(f"{plan.passing:,} {'pass' if sent is not None else 'would pass'} with this change, "
               f"{plan.failing.total():,} would be rejected again{untouched}")  # fmt: skip
    for why, count in plan.failing.most_common():
        typer.echo(f"  {count:,} {plain(why)}")
    if plan.example is not None:
        id_, before, after = plan.example
        typer.echo(f"For example dead letter {id_}:")
        was, now = (text.decode("utf-8", "replace").splitlines() for text in (before, after))
        changed = (
            line for line in difflib.unified_diff(was, now, n=0, lineterm="") if line[:3] not in ("---", "+++", "@@ ")
        )
        for line in islice(changed, 10):
            typer.echo(f"  {plain(line)[:200]}")
    if sent is None:
        typer.echo("A dry run: nothing was changed. With --yes those that pass are mended and replayed.", err=True)
    else:
        typer.echo(f"{sent:,} mended and replayed. Those that are left:  copydesk dead list", err=True)
