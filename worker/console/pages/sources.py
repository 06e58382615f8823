"""Who sends what share of rejected documents, since when, and why."""

from __future__ import annotations

from starlette.responses import Response

from worker.console.context import SPANS, ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import RequestContext


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """The sources of the last day or week; counted beside, and at most half a minute old where that goes quickly."""
    hours = next((span for span in SPANS if str(span) == context.query("hours")), SPANS[0])
    found, seconds = console.sources[hours].get()
    return render(context, "sources.html", {"sources": found, "hours": hours, "spans": SPANS, "age": seconds})
