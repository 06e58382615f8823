"""`copydesk db`: upgrade the store's schema, check its rows, index words, delete what has expired."""

from __future__ import annotations

import math
from collections import Counter
from typing import Annotated

import typer
from sqlalchemy import Engine

from worker.cli.groups import Group
from worker.cli.local_stack import open_store
from worker.cli.progress import progress
from worker.cli.recording import record_action
from worker.cli.terminal import plain, print_json
from worker.errors import Exit
from worker.jobs import retention, store_repair
from worker.monitoring.servers.server_checks import ServerUnfit, schema_fault
from worker.settings import settings
from worker.store import migration
from worker.store.consistency import check as findings_of
from worker.store.migrations import schema_version
from worker.word_index import filling

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(cls=Group, help="Upgrade, check, index and prune the store.", no_args_is_help=True)
    group.command(epilog="Example: copydesk db upgrade")(upgrade)
    group.command(epilog="Example: copydesk db current")(current)
    group.command(epilog="Example: copydesk db check --repair")(check)
    group.command(epilog="Example: copydesk db index")(index)
    group.command(epilog="Example: copydesk db prune --yes")(prune)
    app.add_typer(group, name="db")


def _engine() -> Engine:
    return open_store(settings())


def upgrade() -> int:
    """Upgrade the schema of the store to this version.

    It is safe to run it again, and from several processes at once.
    """
    with progress(None, "upgrading"):
        before = migration.upgrade(settings())
    typer.echo(f"{before or 'empty'} -> {schema_version.head()}")
    return Exit.OK


def current(json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False) -> int:
    """Show the schema version of the store, and the one that is needed."""
    engine = _engine()
    with engine.connect() as connection:
        version = schema_version.current(connection)
    engine.dispose()
    if json_:
        print_json({"has": version, "needs": schema_version.head()})
    else:
        typer.echo(f"has {version or 'nothing'}, needs {schema_version.head()}")
    return Exit.OK if version == schema_version.head() else Exit.UNSOUND


def check(
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="first delete rows of articles that do not exist, and decide links and stubs again"
        ),
    ] = False,
    json_: Json = False,
) -> int:
    """Check the store for rows that break a rule.

    For example: every article shows its newest document, every link points to the right article. It reads whole tables
    beside live work; with millions of articles it takes minutes. Exit code 4 when a rule is broken.
    """
    engine, sound = _engine(), True
    _require_schema(engine)
    if repair:
        with progress(None, "repairing"):
            repaired = store_repair.repair(engine, settings().heat_rules)
        record_action("db check --repair", repaired.summary)
        typer.echo(f"Repaired. {repaired.summary}", err=True)
    with (
        engine.connect().execution_options(isolation_level=_isolation(engine)) as connection,
        connection.begin(),
        progress(None, "checks", prints=True) as advance,
    ):
        for done, finding in enumerate(findings_of(connection), 1):
            advance(done)
            sound &= finding.count == 0
            if json_:
                finding_json = {"check": finding.check, "meaning": finding.description, "broken": finding.count}
                print_json({**finding_json, "examples": list(finding.examples)})
                continue
            typer.echo(f"{'ok    ' if not finding.count else 'BROKEN'} {finding.check}: {finding.description}")
            if finding.count:
                typer.echo(f"       {finding.count:,} do not: {plain(', '.join(finding.examples))}")
    engine.dispose()
    return Exit.OK if sound else Exit.UNSOUND


def _require_schema(engine: Engine) -> None:
    """Raises ServerUnfit if the schema is of another version: the rules are about the tables of this version."""
    with engine.connect() as connection:
        sentence = schema_fault(connection)
    if sentence:
        raise ServerUnfit(sentence)


def _isolation(engine: Engine) -> str:
    """Return the isolation level that gives all checks one snapshot: live writes must not look like faults."""
    return "REPEATABLE READ" if engine.dialect.name == "postgresql" else "SERIALIZABLE"


def index() -> int:
    """Index the words of all titles and excerpts now.

    The workers do the same in the background, unless COPYDESK_SEARCH is false. You can interrupt it at any time.
    """
    engine, config = _engine(), settings()
    _require_schema(engine)
    with engine.connect() as connection:
        position = filling.read_position(connection)
        waiting = filling.count_waiting(connection, position) if position else 0
    if position is None:
        typer.echo("This SQLite has no full-text search (FTS5), so words are not indexed.", err=True)
        return Exit.UNSOUND
    with progress(waiting, "articles") as advance:
        done = 0

        def count(indexed: int) -> None:
            nonlocal done
            done += indexed
            advance(done)

        filling.fill(engine, config, seconds=math.inf, advance=count)
    engine.dispose()
    typer.echo(f"{done:,} articles were indexed. Changes of the last {config.commit_seconds:.0f} seconds follow later.")
    return Exit.OK


def prune(
    yes: Annotated[
        bool, typer.Option("--yes", help="do it; without, only show how many rows would be removed")
    ] = False,
    json_: Json = False,
) -> int:
    """Remove old receipts, closed dead letters, raw bytes, orphans and stories.

    A worker does the same each hour. These settings define how long they are kept: COPYDESK_RECEIPT_DAYS,
    COPYDESK_RAW_DAYS, COPYDESK_ORPHAN_DAYS, COPYDESK_STORY_DAYS (not set: forever). You can interrupt it at any time.
    """
    engine, config = _engine(), settings()
    with progress(None, "counting"):
        expired = retention.count_expired(engine, config)
    removed: Counter[str] = Counter()
    if yes:
        with progress(sum(expired.values()), "rows") as advance:

            def count(rule: str, rows: int) -> None:
                removed[rule] += rows
                advance(removed.total())

            retention.prune(engine, config, progress=count)
        record_action("db prune", f"{removed.total():,} rows")
    engine.dispose()
    rows = {name: removed[name] if yes else count for name, count in expired.items()}
    if json_:
        print_json({"dry_run": not yes, "rows": rows})
        return Exit.OK
    for rule in retention.RETENTION_RULES:
        days = rule.days(config)
        age = "kept forever" if days is None else f"older than {days:g} days"
        typer.echo(f"{rows[rule.name]:>9,} {rule.name}: {rule.description}, {age}")
    typer.echo("Removed." if yes else "A dry run: nothing was removed. Add --yes to remove them.", err=True)
    return Exit.OK
