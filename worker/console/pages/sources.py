"""The share of rejected documents of each source, since when, and why."""

from __future__ import annotations

from starlette.responses import Response

from worker.console.context import SPANS, ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import RequestContext


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the sources of the last day or week.

    They are counted in the background, and at most half a minute old if counting is quick.
    """
    hours = next((span for span in SPANS if str(span) == context.query("hours")), SPANS[0])
    stats, seconds = console.sources[hours].get()
    return render(context, "sources.html", {"sources": stats, "hours": hours, "spans": SPANS, "age": seconds})
