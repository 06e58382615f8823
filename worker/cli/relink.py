"""`copydesk relink`: compute links and stories again."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy import Engine

from worker.cli.exits import print_message
from worker.cli.local_stack import open_store
from worker.cli.options import moment_of
from worker.cli.progress import progress
from worker.cli.recording import record_action
from worker.cli.terminal import print_json
from worker.errors import Exit
from worker.jobs import relinking
from worker.jobs.relinking import Span
from worker.runtime.embedded.local_stack import LocalStack
from worker.settings import Settings, settings
from worker.store.linking.outdated import Counts
from worker.telemetry import logs

_END_OF_TIME = datetime(2101, 1, 1, tzinfo=UTC)  # documents have times until 2100


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk relink --since 30d --yes")(relink)


def relink(
    since: Annotated[str, typer.Option(help="published since: 6h, 30d, 2w, or a day like 2020-05-29")] = "2w",
    until: Annotated[
        str | None, typer.Option(help="published until then, written in the same way; default: now")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do it; without, only show how many articles it concerns")] = False,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> int:
    """Compute the links and stories of articles again.

    Links of older articles are those of the version that computed them; after an upgrade of the rule for links this
    applies today's. The linker of the workers does it, after articles that arrive. You can stop the command at any time:
    the linker continues. Without --yes: show how many articles, links and stories it concerns.
    """
    config = settings()
    span = _span(since, until)
    engine = open_store(config)
    before = span.count(engine)
    if not yes:
        _print(before, waiting=relinking.count_waiting(engine), as_json=json_)
    else:
        logs.configure(form=config.log_format, level="warning")
        _relink(config, engine, span)
        _print(before, after=span.count(engine), as_json=json_)
    engine.dispose()
    return Exit.OK


def _relink(config: Settings, engine: Engine, span: Span) -> None:
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Configured servers have workers of their own; embedded ones are started as `ingest` does.
    log = str(config.data_dir.absolute() / "worker.log")
    with LocalStack(config, with_worker=config.redis_url is None, worker_log=log):
        with progress(None, "articles marked") as advance:
            marked = span.mark(engine, advance)
        record_action("relink", f"{marked:,} articles published from {span.first:%Y-%m-%d} to {span.last:%Y-%m-%d}")
        with progress(relinking.count_waiting(engine), "articles") as advance:
            relinking.wait_until_linked(engine, advance)


def _span(since: str, until: str | None) -> Span:
    first = moment_of(since, "--since")
    last = moment_of(until, "--until") if until else _END_OF_TIME
    if last < first:
        raise typer.BadParameter("is before --since", param_hint="--until")
    return Span(first, last)


def _print(before: Counts, *, waiting: int = 0, after: Counts | None = None, as_json: bool) -> None:
    if as_json:
        print_json(
            {**asdict(before), "waiting": waiting}
            if after is None
            else {"before": asdict(before), "after": asdict(after)}
        )
        return
    typer.echo(f"{before.articles:,} articles, {before.links:,} links of the linker, {before.stories:,} stories")
    if after is not None:
        typer.echo(f"now {after.articles:,} articles, {after.links:,} links of the linker, {after.stories:,} stories")
        return
    if waiting:
        print_message(f"{waiting:,} articles still wait to be linked again.")
    print_message("A dry run: nothing was changed. Add --yes to link them again.")
