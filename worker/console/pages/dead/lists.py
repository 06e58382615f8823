"""Dead letters by cause, and the dead letters of a cause."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import RequestContext, number_of
from worker.store import dead_letters

_PAGE = 50
_MAX_GROUPS = 100
NAMES = ("source", "code", "text")


def filter_of(values: Mapping[str, str]) -> dead_letters.Filter:
    """Return the filter of open dead letters: by source, by code, by a text."""
    source, code, text = (values.get(name) or None for name in NAMES)
    return dead_letters.Filter(source=source, code=code, text=text)


def filter_values(context: RequestContext, *, sent: bool = False) -> dict[str, str]:
    """Return the filter's values, from the form if `sent`, else from the query."""
    return {name: context.form_value(name) if sent else context.query(name) for name in NAMES}


def causes(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the open dead letters by code and source, the most frequent first."""
    values = filter_values(context)
    with console.engine.connect() as connection:
        groups = dead_letters.groups(connection, filter_of(values))
    total = sum(int(row._mapping["count"]) for row in groups)
    limit = context.rows(_MAX_GROUPS)
    shown = {"groups": groups[:limit], "more": max(0, len(groups) - limit), "total": total}
    return render(context, "causes.html", {**shown, "filters": values})


def list_dead_letters(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the open dead letters of a cause, fifty a page, with the actions on all of them."""
    values = filter_values(context)
    after = number_of(context.query("after")) or 0
    with console.engine.connect() as connection:
        limit = context.rows(_PAGE)
        page = dead_letters.find(connection, filter_of(values), after=after, most=limit + 1)
        total = dead_letters.count(connection, filter_of(values))
    last = page[limit - 1].id if len(page) > limit else None
    shown = {"dead_letters": page[:limit], "next": last, "after": after, "total": total}
    shown["marked"] = bool(context.query("mark"))
    return render(context, "dead_letters.html", {**shown, "filters": values})
