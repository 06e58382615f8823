"""`copydesk similar`: rank the articles that are most similar to an article."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.local_stack import open_store
from worker.cli.progress import progress
from worker.cli.terminal import plain, print_json
from worker.errors import Exit
from worker.queries import similar_articles
from worker.queries.similar_articles import RankedArticle
from worker.settings import settings
from worker.telemetry import logs


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: copydesk similar --most 3 https://www.harbour-courier.example/news/business/article243103.html"
    )(similar)


def similar(
    urls: Annotated[list[str] | None, typer.Argument(metavar="URL", help="the URLs of one article or several")] = None,
    all_: Annotated[bool, typer.Option("--all", help="rank for every article")] = False,
    limit: Annotated[int, typer.Option("--most", min=1, max=100_000, help="show at most so many for each")] = 10,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object an article")] = False,
) -> int:
    """Rank the articles that are most similar to an article.

    It computes the similarity of all articles within two weeks, also of those that are too different to be linked. The
    stored links (`explain`, the table `links`) are the top of this ranking.
    """
    if bool(urls) == all_:
        raise typer.BadParameter("give URLs of articles, or --all")
    config = settings()
    logs.configure_for(config, level="warning")
    engine = open_store(config, small_cache=True)
    shown = 0
    try:
        with engine.connect() as connection, progress(None, "articles", prints=True) as advance:
            for article in similar_articles.similar(connection, urls or None, limit=limit):
                shown += 1
                advance(shown)
                if json_:
                    print_json(article)
                else:
                    _print(article)
    finally:
        engine.dispose()
    if not shown:
        typer.echo("There is no such article, or it is of a kind that belongs to no stories.", err=True)
    return Exit.OK if shown or all_ else Exit.REJECTED


def _print(article: RankedArticle) -> None:
    typer.echo(plain(article["title"] or article["url"] or "(no title)"))
    for other in article["similar"]:
        typer.echo(f"  {other['score']:.3f}  {plain(other['title'] or '(no title)')}  {plain(other['url'] or '')}")
