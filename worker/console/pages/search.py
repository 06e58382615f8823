"""Search by words of a title, a URL, a key or a receipt id."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import RequestContext
from worker.queries.pending import pending
from worker.queries.search import NEWEST, search
from worker.settings import INTERNAL_LANE


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the results, or how to search."""
    wanted = context.query("q")[:500]
    found, waiting = None, list[dict[str, Any]]()
    if wanted:
        with console.engine.connect() as connection:
            found = search(connection, wanted)
        if found.by == "receipt id" and found.is_empty:
            # The entry may have no outcome yet.
            lanes = [*(lane.name for lane in console.config.lane_list), INTERNAL_LANE]
            waiting = pending(console.client, lanes, wanted)
    return render(context, "search.html", {"wanted": wanted, "found": found, "waiting": waiting, "newest": NEWEST})
