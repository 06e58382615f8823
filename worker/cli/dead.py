"""`copydesk dead`: list, show, edit, replay and discard dead letters."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from sqlalchemy import Engine

from schemas.codes import CELERY_CODES
from schemas.problem import Severity
from worker.cli.bulk_edit import bulk_edit
from worker.cli.dead_filter import Code, Ids, Json, Since, Source, Text, Yes, dead_filter, dead_progress, dead_store
from worker.cli.groups import Group
from worker.cli.local_stack import writer
from worker.cli.recording import record_action
from worker.cli.tables import data_console
from worker.cli.terminal import plain, print_json
from worker.dead_letters import bulk_actions, editing
from worker.dead_letters.redacted_text import redact
from worker.dead_letters.replay import operator
from worker.dead_letters.replay import replay as replay_all
from worker.documents.limits import Limits
from worker.documents.problem_display import render
from worker.errors import Exit
from worker.interrupts import deferred
from worker.settings import settings
from worker.store import dead_letters
from worker.store.sql.statements import AnyRow

_SHOWN_BYTES = 4096  # of a message from Celery's queue; `--json` shows all of it
_EDITOR_STOP_SECONDS = 2.0
_HELP = """List, edit, replay and discard dead letters.

A dead letter is a document that was rejected."""


def register(app: typer.Typer) -> None:
    group = typer.Typer(cls=Group, help=_HELP, no_args_is_help=True)
    group.command("list", epilog="Example: copydesk dead list --code yaml_unquoted_colon")(list_)
    group.command(epilog="Example: copydesk dead show 12")(show)
    group.command(epilog="Example: copydesk dead edit 12")(edit)
    group.command(
        "mend", epilog="Example: copydesk dead mend --code yaml_unquoted_colon --replace 'call it: ' 'call it '"
    )(bulk_edit)
    group.command(epilog="Example: copydesk dead replay --code yaml_unquoted_colon --yes")(replay)
    group.command(epilog="Example: copydesk dead discard 12 --reason 'not a document' --yes")(discard)
    app.add_typer(group, name="dead")


def list_(source: Source = None, code: Code = None, since: Since = None, text: Text = None, json_: Json = False) -> int:
    """Show the open dead letters by cause, with an example of each."""
    selection = dead_filter(None, source, code, since, text)
    with dead_store().connect() as connection:
        if json_:
            after = 0
            while page := dead_letters.find(connection, selection, after=after):
                for dead_letter in page:
                    print_json(_as_json(dead_letter))
                after = page[-1].id
            return Exit.OK
        causes = dead_letters.groups(connection, selection)
    if not causes:
        typer.echo("No open dead letters match.")
        return Exit.OK
    table = Table(box=None, show_edge=False, pad_edge=False, header_style="bold dim", padding=(0, 2, 0, 0))
    for name in ("code", "source", "documents", "first (UTC)", "last", "example"):
        table.add_column(
            name, justify="right" if name in ("documents", "example") else "left", no_wrap=name != "source"
        )
    for row in causes:
        first, last = (f"{_utc(moment):%m-%d %H:%M}" for moment in (row.first, row.last))
        table.add_row(row.code, plain(row.source), f"{row.count:,}", first, last, str(row.example))
    data_console().print(table)
    typer.echo("To show one:  copydesk dead show EXAMPLE", err=True)
    return Exit.OK


def _utc(moment: datetime | str) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)


def _as_json(row: AnyRow) -> dict[str, object]:
    columns = ("lane", "source", "key", "code", "status", "edits", "problems")
    values = {name: getattr(row, name) for name in columns}
    return {"dead_letter": row.id, "id": row.receipt_id, **values, "created_at": row.created_at.isoformat()}


def show(id_: Annotated[int, typer.Argument(metavar="ID")], json_: Json = False) -> int:
    """Show a dead letter: its sender, its problems, and what was done to it."""
    dead_letter = _dead_letter(dead_store(), id_)
    row, raw = dead_letter.row, dead_letter.content
    if json_:
        actions = [
            {"action": action.action, "who": action.who, "at": action.at.isoformat(), "reason": action.reason}
            for action in dead_letter.actions
        ]
        print_json({**_as_json(row), "raw": raw.decode("utf-8", "backslashreplace"), "actions": actions})
        return Exit.OK
    typer.echo(f"dead letter {row.id} ({row.status}), receipt {row.receipt_id} on {row.lane}")
    typer.echo(f"from {plain(row.source)}, key {plain(row.key or '(none)')}, {row.created_at:%Y-%m-%d %H:%M:%S} UTC\n")
    for problem in dead_letter.problems:
        typer.echo("\n".join(plain(line) for line in render(raw, problem).splitlines()) + "\n")
    if row.code in CELERY_CODES:  # no line of the text has an error, so its beginning is shown
        typer.echo("\n".join(plain(line) for line in redact(raw[:_SHOWN_BYTES]).text.splitlines()) + "\n")
    for action in dead_letter.actions:
        reason = f": {plain(action.reason)}" if action.reason else ""
        typer.echo(f"{action.at:%Y-%m-%d %H:%M:%S} {action.action} by {plain(action.who)}{reason}")
    typer.echo(f"To edit and replay it:  copydesk dead edit {row.id}", err=True)
    return Exit.OK


def _dead_letter(engine: Engine, id_: int) -> editing.DeadLetter:
    """Return a dead letter. Raises typer.BadParameter if there is none with this id."""
    dead_letter = editing.dead_letter(engine, id_)
    if dead_letter is None:
        raise typer.BadParameter(f"there is no dead letter {id_}")
    return dead_letter


def edit(
    id_: Annotated[int, typer.Argument(metavar="ID")],
    file: Annotated[Path | None, typer.Option(help="use the text of this file instead of $EDITOR")] = None,
) -> int:
    """Edit a dead letter in $EDITOR, check it, and replay it when it passes."""
    config, engine = settings(), dead_store()
    dead_letter = _dead_letter(engine, id_)
    if dead_letter.row.status != "open":
        raise typer.BadParameter(f"dead letter {id_} is {dead_letter.row.status}")
    if dead_letter.raw is None or not dead_letter.can_be_replayed:
        raise typer.BadParameter("it has no complete document to edit: ask its sender to send it again")
    text = file.read_bytes() if file else _in_editor(dead_letter.raw)
    while True:
        problems = editing.check(dead_letter, text, Limits(max_bytes=config.max_document_bytes))
        for problem in problems:
            typer.echo("\n".join(plain(line) for line in render(text, problem).splitlines()) + "\n", err=True)
        if not any(problem.severity is Severity.ERROR for problem in problems):
            break
        if file or not typer.confirm("It would be rejected again. Edit it again?", default=True, err=True):
            typer.echo("Nothing was changed.", err=True)
            return Exit.REJECTED
        text = _in_editor(text)
    try:
        with writer(config) as client:
            is_edit = editing.edit_and_replay(engine, client, dead_letter, text, operator())
    except editing.DeadLetterChanged as changed:
        typer.echo(f"copydesk: Nothing was changed or sent: {changed}.", err=True)
        _keep_text(text, dead_letter.raw, file)
        return Exit.USAGE
    except Exception:
        _keep_text(text, dead_letter.raw, file)
        raise
    _report_replay(id_, is_edit=is_edit)
    return Exit.OK


def _report_replay(id_: int, *, is_edit: bool) -> None:
    if not is_edit:
        typer.echo("The text is unchanged; replaying it as it is.", err=True)
    record_action("dead edit" if is_edit else "dead replay", f"dead letter {id_}")
    typer.echo(f"Replayed. What became of it:  copydesk dead show {id_}", err=True)


def _in_editor(raw: bytes) -> bytes:
    try:
        editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "") or ["vi"]
        with tempfile.TemporaryDirectory(prefix="copydesk-") as folder:
            path = Path(folder) / "document.md"
            path.write_bytes(raw)
            _run([*editor, str(path)])
            return path.read_bytes()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:  # bad quoting, or an exit code of the editor
        raise typer.BadParameter(f"the editor (VISUAL, EDITOR) failed, and nothing was changed: {error}") from error


def _keep_text(text: bytes, raw: bytes, file: Path | None) -> None:
    """Save the user's text to a file after a failure, and print its path."""
    if file is None and text != raw:
        with tempfile.NamedTemporaryFile(prefix="copydesk-", suffix=".md", delete=False) as retained:
            retained.write(text)
        typer.echo(f"Your text is in {retained.name}", err=True)


def _run(command: list[str]) -> None:
    """Run a program of the user and wait for it; end it on an interrupt. Raises subprocess.CalledProcessError."""
    process = None
    try:
        with deferred():
            process = subprocess.Popen(command)
        process.wait()
    finally:
        if process is not None and process.poll() is None:
            with deferred():
                process.terminate()  # an editor restores the terminal on SIGTERM
                try:
                    process.wait(timeout=_EDITOR_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def replay(
    ids: Ids = None,
    source: Source = None,
    code: Code = None,
    since: Since = None,
    text: Text = None,
    yes: Yes = False,
    json_: Json = False,
) -> int:
    """Send dead letters through the pipeline again.

    Without --yes: show how many would pass now, and how many would fail. With --yes all of them are sent.
    """
    config, engine, selection = settings(), dead_store(), dead_filter(ids, source, code, since, text)
    with dead_progress(engine, selection) as advance:
        plan = bulk_actions.dry_run(engine, selection, Limits(max_bytes=config.max_document_bytes), advance)
    if yes:
        with writer(config) as client, dead_progress(engine, selection) as advance:
            sent = replay_all(engine, client, selection, advance=advance)
        record_action("dead replay", selection.described(sent))
    if json_:
        counts = {"passing": plan.passing, "failing": dict(plan.failing), "untried": plan.untried}
        print_json({**counts, "replayed": sent if yes else 0})
        return Exit.OK
    typer.echo(f"{plan.passing:,} would pass now, {plan.failing.total():,} would be rejected again")
    if plan.untried:
        typer.echo(f"{plan.untried:,} not tried here, because the worker failed on them")
    for name, count in plan.failing.most_common():
        typer.echo(f"  {count:,} {name}")
    typer.echo(
        f"{sent:,} replayed" if yes else "A dry run: nothing was sent. Add --yes to replay all of them.", err=True
    )
    return Exit.OK


def discard(
    ids: Ids = None,
    source: Source = None,
    code: Code = None,
    since: Since = None,
    text: Text = None,
    reason: Annotated[str, typer.Option(help="why they are discarded; others can read it later")] = "",
    yes: Yes = False,
) -> int:
    """Close dead letters permanently, with a reason.

    Without --yes: show how many.
    """
    if not reason:
        raise typer.BadParameter("--reason is required")
    engine, selection = dead_store(), dead_filter(ids, source, code, since, text)
    if yes:
        with dead_progress(engine, selection) as advance:
            count = bulk_actions.discard(engine, selection, reason, advance=advance)
        record_action("dead discard", selection.described(count), reason)
    else:
        with engine.connect() as connection:
            count = dead_letters.count(connection, selection)
    typer.echo(
        f"{count:,} discarded" if yes else f"{count:,} would be discarded. A dry run: add --yes to discard them."
    )
    return Exit.OK
