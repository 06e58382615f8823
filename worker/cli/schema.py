"""`copydesk schema export`: export the published contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas.export import FORMS, HERE, STRICT, schema_of
from worker.cli.groups import Group
from worker.errors import Exit

schema_app = typer.Typer(name="schema", cls=Group, help="Export the contract with crawlers.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(schema_app)


@schema_app.command(epilog="Example: copydesk schema export contract")
def export(folder: Annotated[Path, typer.Argument(help="the folder; it is created if it is missing")]) -> int:
    """Export the contract of this version to a folder.

    It writes asyncapi.yaml, and under json/ a JSON Schema (2020-12) for each form; under json/strict/ are those of
    documents without warnings.
    """
    files = {"asyncapi.yaml": (HERE / "asyncapi.yaml").read_text("utf-8")}
    files |= {f"json/{name}.json": schema_of(name) for name in FORMS}
    (folder / "json" / STRICT).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
        typer.echo(folder / name)
    return Exit.OK
