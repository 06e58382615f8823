"""`copydesk missing`: show which URLs of a list are not in the store."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.exits import print_message
from worker.cli.local_stack import open_store
from worker.cli.progress import progress
from worker.cli.terminal import plain, print_json
from worker.errors import Exit
from worker.queries.sources.missing_urls import UrlState, states_of
from worker.queries.sources.url_lists import MAX_BYTES, UnreadableList, UrlList, read_urls
from worker.settings import settings


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk missing news-sitemap.xml")(missing)


def missing(
    list_: Annotated[
        str,
        typer.Argument(metavar="FILE|-", help="a sitemap, an RSS or Atom feed, or one URL a line; -: standard input"),
    ],
    all_: Annotated[bool, typer.Option("--all", help="show the known URLs too")] = False,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object for each URL, the known ones too")] = False,
) -> int:
    """Show which URLs of a list never came or were rejected.

    Nothing is fetched. A URL is known if an article has it, or claims it as another URL of its own. Exit code 0: all are
    known; 1: some are not.
    """
    urls, ignored = _read(list_)
    engine = open_store(settings())
    with engine.connect() as connection, progress(None, f"{len(urls):,} URLs"):
        states = states_of(connection, urls)
    engine.dispose()
    for state in states:
        if json_:
            print_json(asdict(state))
        elif all_ or state.state != "known":
            typer.echo(plain(_line(state)))
    if ignored:
        what = "lines or entries are no URL and were" if ignored > 1 else "line or entry is no URL and was"
        print_message(f"{ignored:,} {what} left out: a URL begins with http:// or https://.")
    counts = Counter(state.state for state in states)
    if not json_:
        print_message(
            f"{len(states):,} URLs: {counts['known']:,} known, {counts['rejected']:,} rejected, "
            f"{counts['retracted']:,} retracted, {counts['missing']:,} never came."
        )
    return Exit.OK if counts["known"] == len(states) else Exit.REJECTED


def _read(list_: str) -> UrlList:
    if list_ == "-":
        return read_urls(sys.stdin.buffer.read(MAX_BYTES + 1))
    try:
        with Path(list_).open("rb") as file:
            return read_urls(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise UnreadableList(f"{list_} cannot be read: {error.strerror}.") from None


def _line(state: UrlState) -> str:
    if state.state == "known":
        return f"known       {state.url}  article {state.article}"
    if state.state == "rejected":
        return f"rejected    {state.url}  {state.code}: copydesk dead show {state.dead_letter}"
    named = "  (other articles name it)" if state.is_named else ""
    return f"{'retracted ' if state.state == 'retracted' else 'never came'}  {state.url}{named}"
