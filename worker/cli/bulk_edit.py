"""`copydesk dead mend`: make the same change to many dead letters, with a dry run that checks each."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from worker.cli.dead_filter import Code, Ids, Since, Source, Text, Yes, dead_filter, dead_progress, dead_store
from worker.cli.local_stack import writer
from worker.cli.recording import record_action
from worker.cli.terminal import plain, print_json
from worker.dead_letters import bulk_edit as operations
from worker.dead_letters.bulk_edit import Change, changed_lines, filtering, replacing, substituting
from worker.dead_letters.dry_run import DryRun
from worker.documents.limits import Limits
from worker.errors import Exit
from worker.settings import settings


def bulk_edit(
    ids: Ids = None,
    replace: Annotated[
        tuple[str, str] | None, typer.Option(help="OLD NEW: replace every OLD, as written, by NEW")
    ] = None,
    regex: Annotated[
        tuple[str, str] | None,
        typer.Option(help=r"PATTERN NEW: replace every match of a regular expression by NEW (\1: its first group)"),
    ] = None,
    exec_: Annotated[
        str | None,
        typer.Option(
            "--exec", help="a program that reads the document from stdin and writes the corrected one to stdout"
        ),
    ] = None,
    source: Source = None,
    code: Code = None,
    since: Since = None,
    text: Text = None,
    yes: Yes = False,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> int:
    """Make the same change to many dead letters, and replay those that pass.

    The others stay as they are. Without --yes: try the change on each, and show how many would pass and why others would
    not.
    """
    change = _change(replace, regex, exec_)
    config, engine = settings(), dead_store()
    selection, limits = dead_filter(ids, source, code, since, text), Limits(max_bytes=config.max_document_bytes)
    sent = 0
    with dead_progress(engine, selection) as advance:
        if yes:
            with writer(config) as client:
                plan, sent = operations.bulk_edit(engine, client, selection, change, limits, advance)
        else:
            plan = operations.plan_for(engine, selection, change, limits, advance)
    if yes:
        record_action("dead mend", selection.described(sent))
    if json_:
        print_json(
            {"passing": plan.passing, "failing": dict(plan.failing), "untouched": plan.untouched, "replayed": sent}
        )
        return Exit.OK
    _print(plan, sent if yes else None)
    return Exit.OK


def _change(replace: tuple[str, str] | None, regex: tuple[str, str] | None, program: str | None) -> Change:
    given = [part for part in (replace, regex, program) if part]
    if len(given) != 1:
        raise typer.BadParameter("use one of --replace OLD NEW, --regex PATTERN NEW and --exec PROGRAM")
    if replace:
        if not replace[0]:
            raise typer.BadParameter("--replace needs the text to replace")
        return replacing(*replace)
    try:
        return substituting(*regex) if regex else filtering(str(program))
    except (re.error, ValueError, IndexError) as error:
        raise typer.BadParameter(str(error)) from error


def _print(plan: DryRun, sent: int | None) -> None:
    untouched = f" (the change does not apply to {plan.untouched:,} of them)" if plan.untouched else ""
    passing = f"{plan.passing:,} {'pass' if sent is not None else 'would pass'} with this change"
    typer.echo(f"{passing}, {plan.failing.total():,} would be rejected again{untouched}")
    for why, count in plan.failing.most_common():
        typer.echo(f"  {count:,} {plain(why)}")
    if plan.example is not None:
        id_, before, after = plan.example
        typer.echo(f"For example dead letter {id_}:")
        for line in changed_lines(before, after):
            typer.echo(f"  {plain(line)[:200]}")
    if sent is None:
        typer.echo("A dry run: nothing was changed. Add --yes to edit and replay those that pass.", err=True)
    else:
        typer.echo(f"{sent:,} edited and replayed. To list the others:  copydesk dead list", err=True)
