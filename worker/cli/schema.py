"""`copydesk schema export`: the published contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.exits import Exit

schema_app = typer.Typer(name="schema", help="The contract with crawlers, for machines.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(schema_app)


@schema_app.command(epilog="Example: copydesk schema export contract")
def export(folder: Annotated[Path, typer.Argument(help="where to; made where it is missing")]) -> int:
    """Write the contract of this version: asyncapi.yaml, and under json/ a JSON Schema (2020-12) for each form."""
    from schemas.export import FORMS, HERE, schema_of

    files = {"asyncapi.yaml": (HERE / "asyncapi.yaml").read_text("utf-8")}
    files |= {f"json/{name}.json": schema_of(name) for name in FORMS}
    (folder / "json").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
        typer.echo(folder / name)
    return Exit.OK
