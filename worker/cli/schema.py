"""`copydesk schema export|diff`: the published contract, and what a change of it would break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from schemas.diff import Change, compare
from schemas.export import FORMS, HERE, schema_of
from worker.cli.groups import Group
from worker.cli.show import print_json
from worker.errors import Exit

schema_app = typer.Typer(
    name="schema", cls=Group, help="Export the contract with crawlers, and compare two of them.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    app.add_typer(schema_app)


@schema_app.command(epilog="Example: copydesk schema export contract")
def export(folder: Annotated[Path, typer.Argument(help="the folder; it is made if it is missing")]) -> int:
    """Export the contract of this version to a folder.

    It writes asyncapi.yaml, and under json/ a JSON Schema (2020-12) for each form.
    """
    files = {"asyncapi.yaml": (HERE / "asyncapi.yaml").read_text("utf-8")}
    files |= {f"json/{name}.json": schema_of(name) for name in FORMS}
    (folder / "json").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
        typer.echo(folder / name)
    return Exit.OK


@schema_app.command(epilog="Example: copydesk schema diff schemas/json schemas/json")
def diff(
    old: Annotated[Path, typer.Argument(help="a schema, or a folder of them", exists=True)],
    new: Annotated[Path, typer.Argument(help="the same of another version", exists=True)],
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a difference")] = False,
) -> int:
    """Compare two contracts, and say what a change would break.

    It names who would break: producers (crawlers) or consumers of the outcomes. A file's name says which form it is. The
    exit code is 4 if something would break.
    """
    if old.is_dir() != new.is_dir():
        raise typer.BadParameter("two files, or two folders")
    found: list[Change] = []
    befores = sorted(old.glob("*.json")) if old.is_dir() else [old]
    for before in befores:
        after = new / before.name if new.is_dir() else new
        if not after.exists():
            found.append(Change(before.stem, "(the whole)", "the form is gone", "producers and consumers"))
            continue
        try:
            pair = [json.loads(path.read_text(encoding="utf-8")) for path in (before, after)]
        except ValueError as error:
            raise typer.BadParameter(f"{before.name}: not JSON: {error}") from error
        found += compare(before.stem, *pair)
    for change in sorted(found, key=lambda change: (change.breaks is None, change.form, change.path)):
        if json_:
            print_json({"form": change.form, "path": change.path, "what": change.what, "breaks": change.breaks})
        else:
            whom = f"breaks {change.breaks}" if change.breaks else "breaks nobody"
            typer.echo(f"{whom}: {change.form}: {change.path}: {change.what}")
    if not found:
        typer.echo("No difference.", err=True)
    return Exit.UNSOUND if any(change.breaks for change in found) else Exit.OK
