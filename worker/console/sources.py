"""Who sends what share of rejected documents, since when, and why."""

from __future__ import annotations

from starlette.responses import Response

from worker.console.asked import Asked
from worker.console.desk import SPANS, Desk
from worker.console.page import render


def page(desk: Desk, asked: Asked) -> Response:
    """The sources of the last day or week; counted beside, and at most half a minute old where that goes quickly."""
    hours = next((span for span in SPANS if str(span) == asked.query("hours")), SPANS[0])
    found, seconds = desk.sources[hours].get()
    return render(asked, "sources.html", {"sources": found, "hours": hours, "spans": SPANS, "age": seconds})
