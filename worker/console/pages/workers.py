"""The workers: their processes, what each does now, and since when; and stopping one."""

from __future__ import annotations

from starlette.responses import Response

from worker.activity import heartbeats
from worker.activity.heartbeats import WorkerState
from worker.activity.stop_requests import request_stop
from worker.console.context import ConsoleContext
from worker.console.recording import actor, record
from worker.console.rendering import redirect, render
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


def confirm_stop(console: ConsoleContext, context: RequestContext) -> Response:
    """Ask whether a worker shall stop. Raises HttpError."""
    return render(context, "stop_worker.html", {"worker": _worker(console, context.query("worker"))})


def stop(console: ConsoleContext, context: RequestContext) -> Response:
    """Ask a worker to stop after its running batches. Raises HttpError."""
    worker = _worker(console, context.form_value("worker"))
    request_stop(console.client, worker.name, actor(console, context))
    record(console, context, "worker stop", worker.name)
    console.redis_snapshot.forget()
    return redirect("/workers")


def _worker(console: ConsoleContext, name: str) -> WorkerState:
    found = next((worker for worker in heartbeats.workers(console.client) if worker.name == name), None)
    if found is None:
        raise HttpError(404, "No worker of that name runs. It may have stopped by now.")
    return found
