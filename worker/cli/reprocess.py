"""`copydesk reprocess`: run stored documents through the current pipeline."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.local_stack import open_store
from worker.cli.options import moment_of
from worker.cli.progress import progress
from worker.cli.recording import record_action
from worker.cli.tables import data_console, outcome_table
from worker.cli.terminal import plain, print_json
from worker.dead_letters.dry_run import DryRun
from worker.documents.limits import Limits
from worker.errors import Exit
from worker.jobs import reprocessing
from worker.queue.connection import connect
from worker.runtime.embedded.local_stack import LocalStack
from worker.settings import settings
from worker.telemetry import logs


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk reprocess --behind --yes")(reprocess)


def reprocess(
    source: Annotated[str | None, typer.Option(help="only documents of this source")] = None,
    kind: Annotated[
        str | None, typer.Option(help="only documents of this kind: article, video, organization …")
    ] = None,
    url: Annotated[str | None, typer.Option(help="only documents that describe the article of this URL")] = None,
    code: Annotated[str | None, typer.Option(help="only documents that had a problem with this code")] = None,
    since: Annotated[
        str | None, typer.Option(help="only documents that changed since: 2h, 30d, 2w, or a time like 2026-01-31T12:00")
    ] = None,
    behind: Annotated[bool, typer.Option("--behind", help="only documents that an older pipeline processed")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do it; without, only show what would change")] = False,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> int:
    """Run stored documents through the current pipeline.

    Workers continue with new documents at the same time. A document that changes meanwhile keeps its newer version.
    Without --yes: show what would change. You can stop it at any time; --behind then continues with the rest.
    """
    config = settings()
    after = moment_of(since, "--since") if since is not None else None
    selection = reprocessing.Filter(source, kind, url, code, after, behind)
    engine = open_store(config)
    if not yes:
        with progress(reprocessing.count(engine, selection)) as advance:
            plan = reprocessing.forecast(engine, selection, Limits(max_bytes=config.max_document_bytes), advance)
        _print_forecast(plan, as_json=json_)
        return Exit.OK
    logs.configure(form=config.log_format, level="warning")
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Configured servers have workers of their own; embedded ones are started as `ingest` does.
    log = str(config.data_dir.absolute() / "worker.log")
    with (
        LocalStack(config, with_worker=config.redis_url is None, worker_log=log),
        connect(config.redis) as client,
        progress(reprocessing.count(engine, selection)) as advance,
    ):
        outcomes = reprocessing.reprocess(engine, client, selection, advance)
        record_action("reprocess", f"{outcomes.total():,} documents")
    if json_:
        print_json({"reprocessed": outcomes.total(), "outcomes": dict(outcomes)})
    else:
        data_console().print(outcome_table(outcomes))
    return Exit.REJECTED if outcomes["rejected"] else Exit.OK


def _print_forecast(plan: DryRun, *, as_json: bool) -> None:
    unchanged = plan.passing - plan.changed
    if as_json:
        counts = {"documents": plan.seen, "unchanged": unchanged, "changed": plan.changed}
        print_json({**counts, "fields": dict(plan.fields), "rejected": dict(plan.failing)})
        return
    typer.echo(f"{plan.seen:,} documents: {plan.changed:,} would change, {unchanged:,} would not")
    for name, count in plan.fields.most_common(20):
        typer.echo(f"  {count:,} in {plain(name)}")
    for name, count in plan.failing.most_common():
        typer.echo(f"  {count:,} would be rejected: {name}")
    typer.echo("A dry run: nothing was sent. Add --yes to reprocess them.", err=True)
