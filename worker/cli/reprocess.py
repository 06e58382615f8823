"""`copydesk reprocess`: run stored documents through the current pipeline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from worker.cli.local_stack import open_store
from worker.cli.progress import progress
from worker.cli.tables import data_console, outcome_table
from worker.cli.terminal import plain, print_json
from worker.documents.limits import Limits
from worker.errors import Exit
from worker.jobs import reprocessing as operations
from worker.queue.connection import connect
from worker.runtime.embedded.local_stack import LocalStack
from worker.settings import settings
from worker.telemetry import logs


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk reprocess --behind --yes")(reprocess)


def reprocess(
    source: Annotated[str | None, typer.Option(help="only those of this source")] = None,
    kind: Annotated[str | None, typer.Option(help="only those of this kind: article, video, organization …")] = None,
    url: Annotated[str | None, typer.Option(help="only those that the article of this URL comes from")] = None,
    code: Annotated[str | None, typer.Option(help="only those that had a problem of this code")] = None,
    since: Annotated[datetime | None, typer.Option(help="only those that changed at this time (UTC) or later")] = None,
    behind: Annotated[bool, typer.Option("--behind", help="only those made by an older pipeline")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do it; without, only say what would change")] = False,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> int:
    """Run stored documents through the current pipeline.

    Live work continues beside it. Versions keep their order in time, and are counted apart from submissions. Without
    --yes: say what would change. It may be stopped at any time; --behind then continues with the rest.
    """
    config = settings()
    wanted = operations.Filter(source, kind, url, code, since.replace(tzinfo=UTC) if since else None, behind)
    engine = open_store(config)
    if not yes:
        with progress(operations.count(engine, wanted)) as advance:
            told = operations.forecast(engine, wanted, Limits(max_bytes=config.max_document_bytes), advance)
        _say_forecast(told, json_=json_)
        return Exit.OK
    logs.configure(form=config.log_format, level="warning")
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Real servers have workers of their own; embedded ones are started as `ingest` does.
    log = str(config.data_dir.absolute() / "worker.log")
    with (
        LocalStack(config, with_worker=config.redis_url is None, worker_log=log),
        connect(config.redis) as client,
        progress(operations.count(engine, wanted)) as advance,
    ):
        outcomes = operations.reprocess(engine, client, wanted, advance)
    if json_:
        print_json({"reprocessed": outcomes.total(), "outcomes": dict(outcomes)})
    else:
        data_console().print(outcome_table(outcomes))
    return Exit.REJECTED if outcomes["rejected"] else Exit.OK


def _say_forecast(told: Any, *, json_: bool) -> None:
    if json_:
        print_json({"documents": told.seen, "unchanged": told.passing - told.changed, "changed": told.changed,
                    "fields": dict(told.fields), "rejected": dict(told.failing)})  # fmt: skip
        return
    typer.echo(f"{told.seen:,} documents: {told.changed:,} would change, {told.passing - told.changed:,} would not")
    for name, count in told.fields.most_common(20):
        typer.echo(f"  {count:,} in {plain(name)}")
    for name, count in told.failing.most_common():
        typer.echo(f"  {count:,} would be rejected: {name}")
    typer.echo("A dry run: nothing was sent. With --yes they are reprocessed.", err=True)
