"""Who did what, when, to what, and why."""

from __future__ import annotations

from starlette.responses import Response

from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import RequestContext, number_of
from worker.store.operator_actions import read_actions

_PAGE = 50


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the newest actions of all users, or of one."""
    who, before = context.query("who"), number_of(context.query("before"))
    with console.engine.connect() as connection:
        rows = read_actions(connection, who=who, before=before, limit=context.rows(_PAGE))
    older = rows[-1].id if len(rows) == _PAGE else None
    return render(context, "actions.html", {"actions": rows, "who": who, "before": before, "older": older})
