"""The workers: their processes, what each does now, and since when."""

from __future__ import annotations

from starlette.responses import Response

from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import HttpError, RequestContext


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show each worker with its pool processes. Raises HttpError."""
    snapshot, _ = console.redis_snapshot.get()
    console.client.ping()  # raises, so that the page shows why Redis cannot be used
    if snapshot is None or snapshot.queue is None:
        raise HttpError(503, "Redis does not answer yet. Load the page again.")
    queue = snapshot.queue
    values = {"workers": queue.workers, "missed": queue.missed, "is_held": bool(context.query("hold"))}
    return render(context, "workers.html", values)
