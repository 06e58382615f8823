"""Search by words of a title or excerpt, a URL, a key or a receipt id."""

from __future__ import annotations

from starlette.responses import Response

from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import RequestContext
from worker.queries.pending import PendingEntry, pending
from worker.queries.rows import MAX_ROWS
from worker.queries.search import NEWEST, search
from worker.settings import INTERNAL_LANE

_MAX_CHARACTERS = 500


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the results, or how to search."""
    query = context.query("q")[:_MAX_CHARACTERS]
    result, waiting = None, list[PendingEntry]()
    if query:
        with console.engine.connect() as connection:
            result = search(connection, query)
        if result.by == "receipt id" and result.is_empty:
            # The entry may have no outcome yet.
            lanes = [*(lane.name for lane in console.config.lane_list), INTERNAL_LANE]
            waiting = pending(console.client, lanes, query)
    return render(
        context,
        "search.html",
        {"query": query, "result": result, "waiting": waiting, "newest": NEWEST, "most": MAX_ROWS},
    )
