"""The options that select dead letters, shared by several commands, and the filter that they make."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Annotated

import typer
from sqlalchemy import Engine

from worker.cli.local_stack import open_store
from worker.cli.options import moment_of
from worker.cli.progress import Advance, progress
from worker.settings import settings
from worker.store.dead_letters import Filter, count

Ids = Annotated[list[int] | None, typer.Argument(help="dead letters by number; none: all that match")]
Source = Annotated[str | None, typer.Option(help="only of this source")]
Code = Annotated[str | None, typer.Option(help="only with this code")]
Since = Annotated[str | None, typer.Option(help="only later than: 2h, 3d, or a time such as 2026-01-31T12:00")]
Text = Annotated[str | None, typer.Option(help="only with this text in the key, the receipt id or the problems")]
Yes = Annotated[bool, typer.Option("--yes", help="do it; without, only say what would be done")]
Json = Annotated[bool, typer.Option("--json", help="JSON lines")]


def dead_store() -> Engine:
    return open_store(settings())


def dead_filter(
    ids: list[int] | None, source: str | None, code: str | None, since: str | None, text: str | None
) -> Filter:
    return Filter(
        ids=tuple(ids or ()),
        source=source,
        code=code,
        since=moment_of(since, "--since") if since is not None else None,
        text=text,
    )


def dead_progress(engine: Engine, selection: Filter) -> AbstractContextManager[Advance]:
    """Show a progress bar for an action on the dead letters that match."""
    with engine.connect() as connection:
        return progress(count(connection, selection), "dead letters")
