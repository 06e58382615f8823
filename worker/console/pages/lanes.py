"""The lanes, with pause and resume of lanes and of their sources."""

from __future__ import annotations

from starlette.responses import Response

from schemas.envelope import is_source
from worker.console.context import ConsoleContext
from worker.console.recording import actor, record
from worker.console.rendering import local_path, redirect, render
from worker.console.request_context import HttpError, RequestContext
from worker.monitoring.lane_faults import lane_faults
from worker.queue.clock import server_time
from worker.queue.pauses import lane_pauses
from worker.queue.pauses.source_pauses import pause_source, resume_source


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show each lane with its backlog, who paused it, and its buttons. Raises HttpError."""
    snapshot, _ = console.redis_snapshot.get()
    pauses = lane_pauses.paused(console.client)  # raises, so that the page shows why Redis cannot be used
    if snapshot is None or snapshot.queue is None:
        raise HttpError(503, "Redis does not answer yet. Load the page again.")
    configured = {lane.name: lane for lane in console.config.lane_list}
    lanes = [
        {"status": lane, "config": configured[lane.lane], "pause": pauses.get(lane.lane), "faults": lane_faults(lane)}
        for lane in snapshot.queue.lanes
    ]
    others = {name: pause for name, pause in pauses.items() if name not in configured}
    return render(context, "lanes.html", {"lanes": lanes, "others": others, "is_held": bool(context.query("hold"))})


def pause(console: ConsoleContext, context: RequestContext) -> Response:
    """Pause a lane. Raises HttpError."""
    name, why = _configured(console, context), _reason(console, context)
    lane_pauses.pause(console.client, name, why)
    record(console, context, "lane pause", name, why.why)
    console.redis_snapshot.forget()
    return _back(context)


def resume(console: ConsoleContext, context: RequestContext) -> Response:
    """Resume a lane, also one that is not configured any more. Raises HttpError."""
    name = context.request.path_params["lane"]
    if name not in lane_pauses.paused(console.client):
        raise HttpError(409, "That lane is not paused.")
    lane_pauses.resume(console.client, name)
    record(console, context, "lane resume", name)
    console.redis_snapshot.forget()
    return _back(context)


def pause_one_source(console: ConsoleContext, context: RequestContext) -> Response:
    """Pause a source of a lane, which is that of the path or of the form. Raises HttpError."""
    name, source, why = _configured(console, context), context.form.get("source", ""), _reason(console, context)
    if not is_source(source):
        raise HttpError(422, "No document can have that source.")
    if any(lane.name == name and lane.source is not None for lane in console.config.lane_list):
        raise HttpError(422, "All documents of that lane have one source. Pause the lane.")
    pause_source(console.client, name, source, why)
    record(console, context, "lane pause", f"source {source} of lane {name}", why.why)
    console.redis_snapshot.forget()
    return _back(context)


def resume_one_source(console: ConsoleContext, context: RequestContext) -> Response:
    """Resume a source of a lane. Raises HttpError."""
    name, source = str(context.request.path_params["lane"]), context.form.get("source", "")
    if not resume_source(console.client, name, source):
        raise HttpError(409, "That source is not paused.")
    record(console, context, "lane resume", f"source {source} of lane {name}")
    console.redis_snapshot.forget()
    return _back(context)


def _back(context: RequestContext) -> Response:
    """Redirect to the page that has the form."""
    return redirect(local_path(context.form_value("next") or "/lanes"))


def _configured(console: ConsoleContext, context: RequestContext) -> str:
    name = str(context.request.path_params.get("lane", context.form.get("lane", "")))
    if name not in {lane.name for lane in console.config.lane_list}:
        raise HttpError(404, "There is no such lane.")
    return name


def _reason(console: ConsoleContext, context: RequestContext) -> lane_pauses.Pause:
    reason = context.form_value("reason")
    if not reason:
        raise HttpError(422, "Give a reason, for those who find it paused.")
    return lane_pauses.Pause(actor(console, context), server_time(console.client), reason)
