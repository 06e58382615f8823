"""`copydesk stories`: show articles about the same event, the lead first."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from worker.cli.local_stack import open_store
from worker.cli.options import moment_of
from worker.cli.tables import data_console
from worker.cli.terminal import plain, print_json
from worker.errors import Exit
from worker.queries.stories import Story, list_stories
from worker.settings import settings
from worker.store.linking.link_states import pending_count


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk stories --since 3d --limit 5")(stories)


def stories(
    since: Annotated[
        str | None, typer.Option(help="with an article since: 6h, 3d, 2w, or a day like 2020-05-29")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="with an article of this topic")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="show at most so many")] = 20,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a story")] = False,
) -> int:
    """Show the newest stories, each with its articles.

    A story is as new as its latest article. The lead comes first.
    """
    after = moment_of(since, "--since") if since else None
    engine = open_store(settings())
    with engine.connect() as connection:
        newest = list_stories(connection, after=after, topic=topic, limit=limit)
        waiting = pending_count(connection)
    engine.dispose()
    if json_:
        for story in newest:
            print_json(story)
    elif newest:
        _print(newest)
    else:
        typer.echo("There is no story: no two articles are about the same event.", err=True)
    if waiting:
        typer.echo(f"{waiting:,} articles wait for the linker, so there may be more stories soon.", err=True)
    return Exit.OK


def _print(newest: list[Story]) -> None:
    table = Table(title="Stories", title_justify="left", show_edge=False, pad_edge=False)
    for name in ("id", "articles", "heat"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("last", no_wrap=True)
    table.add_column("title")
    for story in newest:
        for place, article in enumerate(story["articles"]):
            lead = place == 0
            title = Text(plain(article["title"] or "(no title)"), style="bold" if lead else "")
            title.append(f"  {plain(article['provider'] or article['url'] or '')}", style="dim")
            cells = (str(story["id"]), str(story["size"]), str(story["heat"]), (story["last_at"] or "")[:16])
            table.add_row(*(cells if lead else ("", "", "", "")), title)
    data_console().print(table)
