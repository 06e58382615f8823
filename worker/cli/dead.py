"""`copydesk dead`: list, show, edit, replay and discard dead letters."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.exits import Exit
from worker.cli.mend import mend

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from worker.store.dead import Filter

Ids = Annotated[list[int] | None, typer.Argument(help="dead letters by number; none: all that match")]
Source = Annotated[str | None, typer.Option(help="only of this source")]
Code = Annotated[str | None, typer.Option(help="only with this code")]
Since = Annotated[str | None, typer.Option(help="only later than: 2h, 3d, or a time such as 2026-01-31T12:00")]
Text = Annotated[str | None, typer.Option(help="only with this text in the key, the receipt id or the problems")]
Yes = Annotated[bool, typer.Option("--yes", help="do it; without, only say what would be done")]
Json = Annotated[bool, typer.Option("--json", help="JSON lines")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Dead letters: documents that were rejected. See, mend, replay.", no_args_is_help=True)
    group.command("list", epilog="Example: copydesk dead list --code yaml_unquoted_colon")(list_)
    group.command(epilog="Example: copydesk dead show 12")(show)
    group.command(epilog="Example: copydesk dead edit 12")(edit)
    group.command(
        epilog="Example: copydesk dead mend --code yaml_unquoted_colon --replace 'call it: ' 'call it '",
    )(mend)
    group.command(epilog="Example: copydesk dead replay --code yaml_unquoted_colon --yes")(replay)
    group.command(epilog="Example: copydesk dead discard 12 --reason 'not a document' --yes")(discard)
    app.add_typer(group, name="dead")


def _engine() -> Engine:
    from worker.cli.desk import open_store
    from worker.settings import settings

    return open_store(settings())


def _filter(ids: list[int] | None, source: str | None, code: str | None, since: str | None, text: str | None) -> Filter:
    from worker.store.dead import Filter

    return Filter(ids=tuple(ids or ()), source=source, code=code, since=_time(since), text=text)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    units = {"m": "minutes", "h": "hours", "d": "days"}
    try:
        if text[-1:] in units:
            return datetime.now(UTC) - timedelta(**{units[text[-1]]: float(text[:-1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is neither an age (90m, 2h, 3d) nor a time") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def list_(source: Source = None, code: Code = None, since: Since = None, text: Text = None, json_: Json = False) -> int:
    """Show open dead letters grouped by cause, with an example of each."""
    from rich.table import Table

    from worker.cli.show import data_console, plain, print_json
    from worker.store import dead

    wanted = _filter(None, source, code, since, text)
    with _engine().connect() as connection:
        if json_:
            after = 0
            while page := dead.find(connection, wanted, after=after):
                for letter in page:
                    print_json(_as_json(letter))
                after = page[-1].id
            return Exit.OK
        found = dead.groups(connection, wanted)
    if not found:
        typer.echo("No open dead letters match.")
        return Exit.OK
    table = Table(box=None, show_edge=False, pad_edge=False, header_style="bold dim", padding=(0, 2, 0, 0))
    for name in ("code", "source", "documents", "first (UTC)", "last", "example"):
        table.add_column(
            name, justify="right" if name in ("documents", "example") else "left", no_wrap=name != "source"
        )
    for row in found:
        first, last = (f"{_utc(moment):%m-%d %H:%M}" for moment in (row.first, row.last))
        table.add_row(row.code, plain(row.source), f"{row.count:,}", first, last, str(row.example))
    data_console().print(table)
    typer.echo("Look at one:  copydesk dead show EXAMPLE", err=True)
    return Exit.OK


def _utc(moment: Any) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)


def _as_json(letter: Any) -> dict[str, Any]:
    return {
        "dead_letter": letter.id, "id": letter.receipt_id, "lane": letter.lane, "source": letter.source, "key": letter.key,
        "code": letter.code, "status": letter.status, "edits": letter.edits, "created_at": letter.created_at.isoformat(),
        "problems": letter.problems,
    }  # fmt: skip


def _one(engine: Engine, id_: int) -> tuple[Any, bytes | None, bytes]:
    """The letter, its whole raw bytes if they were kept, and what there is of them to show."""
    from worker.store import dead

    with engine.connect() as connection:
        letter = next(iter(dead.find(connection, dead.Filter(ids=(id_,), status=None))), None)
        if letter is None:
            raise typer.BadParameter(f"there is no dead letter {id_}")
        row = dead.raw_of(connection, [letter.raw_sha256]).get(letter.raw_sha256)
    shown = bytes(row.bytes) if row is not None else b""
    return letter, shown if row is not None and row.size == len(shown) else None, shown


def show(id_: Annotated[int, typer.Argument(metavar="ID")], json_: Json = False) -> int:
    """Show a dead letter: where it came from, its problems with line and caret, and what was done to it."""
    from schemas.problem import Problem
    from worker.cli.show import plain, print_json
    from worker.document.explain import render
    from worker.store import dead

    engine = _engine()
    letter, _, raw = _one(engine, id_)
    with engine.connect() as connection:
        actions = dead.actions_of(connection, id_)
    if json_:
        done = [{"action": a.action, "who": a.who, "at": a.at.isoformat(), "reason": a.reason} for a in actions]
        print_json({**_as_json(letter), "raw": raw.decode("utf-8", "backslashreplace"), "actions": done})
        return Exit.OK
    typer.echo(f"dead letter {letter.id} ({letter.status}), receipt {letter.receipt_id} on {letter.lane}")
    typer.echo(
        f"from {plain(letter.source)}, key {plain(letter.key or '(none)')}, {letter.created_at:%Y-%m-%d %H:%M:%S} UTC\n"
    )
    for found in letter.problems:
        typer.echo("\n".join(plain(line) for line in render(raw, Problem(**found)).splitlines()) + "\n")
    for action in actions:
        reason = f": {plain(action.reason)}" if action.reason else ""
        typer.echo(f"{action.at:%Y-%m-%d %H:%M:%S} {action.action} by {plain(action.who)}{reason}")
    typer.echo(f"Mend it:  copydesk dead edit {letter.id}", err=True)
    return Exit.OK


def edit(
    id_: Annotated[int, typer.Argument(metavar="ID")],
    file: Annotated[Path | None, typer.Option(help="take the mended text from this file instead of $EDITOR")] = None,
) -> int:
    """Open the document in $EDITOR, check it on save, and replay it when it passes."""
    import hashlib

    from worker.cli.desk import writer
    from worker.cli.show import plain
    from worker.document.explain import render
    from worker.document.limits import Limits
    from worker.document.validate import read
    from worker.operate.replay import operator
    from worker.operate.replay import replay as send
    from worker.settings import settings
    from worker.store import dead

    config, engine = settings(), _engine()
    letter, raw, _ = _one(engine, id_)
    if letter.status != "open":
        raise typer.BadParameter(f"dead letter {id_} is {letter.status}")
    if raw is None:
        raise typer.BadParameter("its bytes were not kept whole, so it cannot be edited; its sender must send it again")
    text = file.read_bytes() if file else _in_editor(raw)
    while True:
        reading = read(text, has_key=letter.key is not None, limits=Limits(max_bytes=config.max_document_bytes))
        for found in reading.problems:
            typer.echo("\n".join(plain(line) for line in render(text, found).splitlines()) + "\n", err=True)
        if not reading.rejected:
            break
        if file or not typer.confirm("It would be rejected again. Edit once more?", default=True, err=True):
            typer.echo("Nothing was changed.", err=True)
            return Exit.REJECTED
        text = _in_editor(text)
    if text == raw:
        typer.echo("Nothing was changed; replaying it as it is.", err=True)
    else:
        with engine.begin() as connection:
            dead.keep_edit(connection, id_, text, hashlib.sha256(text).digest(), operator())
    with writer(config) as client:
        send(engine, client, dead.Filter(ids=(id_,)))
    typer.echo(f"Replayed. What became of it:  copydesk dead show {id_}", err=True)
    return Exit.OK


def _in_editor(raw: bytes) -> bytes:
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="copydesk-") as folder:
        path = Path(folder) / "document.md"
        path.write_bytes(raw)
        subprocess.run([*editor, str(path)], check=True)
        return path.read_bytes()


def replay(
    ids: Ids = None, source: Source = None, code: Code = None, since: Since = None, text: Text = None, yes: Yes = False,
    json_: Json = False,
) -> int:  # fmt: skip
    """Send dead letters through the pipeline again. Without --yes: say how many would pass now, and how many fail."""
    from worker.cli.desk import writer
    from worker.cli.show import print_json
    from worker.document.limits import Limits
    from worker.operate import replay as operations
    from worker.settings import settings

    config, engine, wanted = settings(), _engine(), _filter(ids, source, code, since, text)
    found = operations.forecast(engine, wanted, Limits(max_bytes=config.max_document_bytes))
    if yes:
        with writer(config) as client:
            sent = operations.replay(engine, client, wanted)
    if json_:
        print_json({"passing": found.passing, "failing": dict(found.failing), "replayed": sent if yes else 0})
        return Exit.OK
    typer.echo(f"{found.passing:,} would pass now, {found.failing.total():,} would be rejected again")
    for name, count in found.failing.most_common():
        typer.echo(f"  {count:,} {name}")
    typer.echo(f"{sent:,} replayed" if yes else "A dry run: nothing was sent. With --yes they are replayed.", err=True)
    return Exit.OK


def discard(
    ids: Ids = None, source: Source = None, code: Code = None, since: Since = None, text: Text = None,
    reason: Annotated[str, typer.Option(help="why, for the record")] = "", yes: Yes = False,
) -> int:  # fmt: skip
    """Close dead letters for good, with a reason. Without --yes: say how many."""
    from worker.operate import replay as operations
    from worker.store import dead

    if not reason:
        raise typer.BadParameter("--reason is needed")
    engine, count = _engine(), 0
    for letter, _ in operations.letters(engine, _filter(ids, source, code, since, text)):
        count += 1
        if yes:
            with engine.begin() as connection:
                dead.discard(connection, letter.id, operations.operator(), reason)
    typer.echo(f"{count:,} discarded" if yes else f"{count:,} would be discarded. A dry run: with --yes they are.")
    return Exit.OK
