"""Where the documents of each site went: received, accepted, rejected by code, and not linked yet."""

from __future__ import annotations

from starlette.responses import Response

from schemas.receipt import Outcome
from worker.console.context import SPANS, ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import RequestContext

_SHOWN = 100


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the losses of the last day or week, of all sources or one. They are counted in the background."""
    hours = next((span for span in SPANS if str(span) == context.query("hours")), SPANS[0])
    source = context.query("source") or None
    sites, seconds = console.losses(hours, source).get()
    site, shown = context.query("site"), context.rows(_SHOWN)
    if sites is not None and site:
        sites = [one for one in sites if site.casefold() in one.site]
    outcomes = [name for name in Outcome if name == "rejected" or any(one.outcomes[name] for one in sites or ())]
    values = {
        "sites": None if sites is None else sites[:shown],
        "more": max(0, len(sites or ()) - shown),
        "outcomes": outcomes,
        "source": source,
        "site": site,
        "hours": hours,
        "spans": SPANS,
        "age": seconds,
    }
    return render(context, "losses.html", values)
