"""Dead letters by cause, and the dead letters of a cause."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import RequestContext, number_of
from worker.store import dead_letters

_PAGE = 50
NAMES = ("source", "code", "text")


def wanted_of(values: Mapping[str, str]) -> dead_letters.Filter:
    """Return the filter of open dead letters: by source, by code, by a text."""
    source, code, text = (values.get(name) or None for name in NAMES)
    return dead_letters.Filter(source=source, code=code, text=text)


def filters(context: RequestContext, *, sent: bool = False) -> dict[str, str]:
    """Return the filter's values, from the form if `sent`, else from the query."""
    return {name: context.form_value(name) if sent else context.query(name) for name in NAMES}


def causes(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the open dead letters by code and source, the most frequent first."""
    filters_given = filters(context)
    with console.engine.connect() as connection:
        found = dead_letters.groups(connection, wanted_of(filters_given))
    total = sum(int(row._mapping["count"]) for row in found)
    values = {"groups": found[:200], "more": max(0, len(found) - 200), "total": total, "wanted": filters_given}
    return render(context, "dead.html", values)


def list_dead_letters(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the open dead letters of a cause, fifty a page, with the actions on all of them."""
    filters_given = filters(context)
    after = number_of(context.query("after")) or 0
    with console.engine.connect() as connection:
        found = dead_letters.find(connection, wanted_of(filters_given), after=after, most=_PAGE + 1)
        total = dead_letters.count(connection, wanted_of(filters_given))
    older = found[_PAGE - 1].id if len(found) > _PAGE else None
    values = {"letters": found[:_PAGE], "next": older, "after": after, "total": total, "wanted": filters_given}
    return render(context, "letters.html", values)
