"""`copydesk similar`: the articles most like one, ranked."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from worker.cli.desk import open_store
from worker.cli.show import plain, print_json
from worker.errors import Exit
from worker.observe import logs
from worker.operate.similar import similar as rank
from worker.settings import settings


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: copydesk similar --most 3 https://www.harbour-courier.example/news/business/article243103.html"
    )(similar)


def similar(
    urls: Annotated[list[str] | None, typer.Argument(metavar="URL", help="of an article, or of several")] = None,
    all_: Annotated[bool, typer.Option("--all", help="of every article: the whole ranking")] = False,
    most: Annotated[int, typer.Option(min=1, max=100_000, help="at most so many for each")] = 10,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object an article")] = False,
) -> int:
    """Rank the articles of two weeks around one by how like it they are, also those too unlike to be linked.

    Computed from the store when asked. The links that are stored (`explain`, the table `links`) are the top of it.
    """
    if bool(urls) == all_:
        raise typer.BadParameter("name articles by their URL, or ask for --all")
    config = settings()
    logs.configure_for(config, level="warning")
    engine = open_store(config, lean=True)
    shown = 0
    try:
        with engine.connect() as connection:
            for one in rank(connection, urls or None, most=most):
                shown += 1
                if json_:
                    print_json(one)
                else:
                    _print(one, plain)
    finally:
        engine.dispose()
    if not shown:
        typer.echo("No such article is there, or it is of a kind that tells no stories.", err=True)
    return Exit.OK if shown or all_ else Exit.REJECTED


def _print(one: dict[str, Any], plain: Any) -> None:
    typer.echo(plain(one["title"] or one["url"] or "(no title)"))
    for other in one["similar"]:
        typer.echo(f"  {other['score']:.3f}  {plain(other['title'] or '(no title)')}  {plain(other['url'] or '')}")
