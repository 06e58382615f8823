"""`copydesk find`: find documents by words, a URL, a key or a receipt id."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from worker.cli.local_stack import open_store
from worker.cli.terminal import moment, plain, print_json
from worker.errors import Exit
from worker.queries.rows import RowDict, iso
from worker.queries.search import NEWEST, SearchResult, search
from worker.settings import settings


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk find harbour ferry")(find)


def find(
    words: Annotated[list[str], typer.Argument(metavar="WORD…", help="words, or one URL, key or receipt id")],
    json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> int:
    """Find documents by words, a URL, a key or a receipt id.

    An article is found if its title and excerpt have all the words, or longer words that begin with them, the newest
    first. A URL, a key or a receipt id must be whole; it also finds receipts and dead letters. Each list has at most 50
    elements. Exit code 1 when nothing is found.
    """
    engine = open_store(settings())
    with engine.connect() as connection:
        result = search(connection, " ".join(words))
    engine.dispose()
    if json_:
        print_json(_as_json(result))
    else:
        _print(result)
    return Exit.REJECTED if result.is_empty else Exit.OK


_RECEIPT = ("id", "lane", "source", "key", "outcome", "url", "settled_at")


def _as_json(result: SearchResult) -> dict[str, object]:
    rows = {
        "articles": result.articles,
        "dead_letters": result.dead_letters,
        "receipts": [{name: receipt[name] for name in _RECEIPT} for receipt in result.receipts],
    }
    lists = {name: [_plain_values(row) for row in found] for name, found in rows.items()}
    return {"query": result.query, "by": result.by, "partial": result.is_partial, **lists}


def _plain_values(row: RowDict) -> RowDict:
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _print(result: SearchResult) -> None:
    for article in result.articles:
        kind = " (named only)" if article["is_stub"] else ""
        typer.echo(f"{_day(article['published_at'])}  {plain(article['title'] or '(no title)')}{kind}")
        typer.echo(f"    {plain(article['canonical_url'] or '(no URL)')}")
    for dead_letter in result.dead_letters:
        typer.echo(
            f"dead letter {dead_letter['id']}: {dead_letter['code']}, {dead_letter['status']}, from {plain(dead_letter['source'])}"
        )
    for receipt in result.receipts:
        typer.echo(f"receipt {receipt['id']}: {receipt['outcome']}, {moment(iso(receipt['settled_at']))}")
    if result.is_empty:
        typer.echo(f"Nothing was found by {result.by}.", err=True)
    if result.is_partial:
        typer.echo(
            f"Only the newest {NEWEST:,} of the articles that are not indexed were searched: copydesk db index",
            err=True,
        )


def _day(moment_: datetime | None) -> str:
    return f"{moment_:%Y-%m-%d}" if moment_ else "(no date) "
