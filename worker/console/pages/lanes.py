"""The lanes, with pause and resume."""

from __future__ import annotations

import time

from starlette.responses import Response

from worker.console.context import ConsoleContext
from worker.console.pages.login import who
from worker.console.rendering import away, render
from worker.console.request_context import HttpError, RequestContext
from worker.dead_letters.replay import operator
from worker.jobs.lane_repair import sentences
from worker.queue import lane_pauses


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show each lane with its backlog, who paused it, and its buttons. Raises HttpError."""
    found, _ = console.at_redis.get()
    if found is None or "lanes" not in found:
        # Called directly, so that the page shows why Redis cannot be used.
        lane_pauses.paused(console.client)
        raise HttpError(503, "Redis does not answer yet. Load the page again.")
    weights = {lane.name: lane for lane in console.config.lane_list}
    held = lane_pauses.paused(console.client)
    shown = [{**lane, "weight": weights[lane["lane"]].weight, "source": weights[lane["lane"]].source,
              "held": held.get(lane["lane"]), "faults": sentences(lane)} for lane in found["lanes"]]  # fmt: skip
    others = {name: pause for name, pause in held.items() if name not in weights}
    return render(context, "lanes.html", {"lanes": shown, "others": others})


def pause(console: ConsoleContext, context: RequestContext) -> Response:
    """Pause a lane. Raises HttpError."""
    name, reason = context.request.path_params["lane"], context.form_value("reason")
    if name not in {lane.name for lane in console.config.lane_list}:
        raise HttpError(404, "There is no such lane.")
    if not reason:
        raise HttpError(422, "Say why, for those who find the lane paused.")
    lane_pauses.pause(console.client, name, lane_pauses.Pause(who(console, context) or operator(), time.time(), reason))
    console.at_redis.forget()
    return away("/lanes")


def resume(console: ConsoleContext, context: RequestContext) -> Response:
    """Resume a lane, also one that is not configured any more. Raises HttpError."""
    name = context.request.path_params["lane"]
    if name not in lane_pauses.paused(console.client):
        raise HttpError(409, "That lane is not paused.")
    lane_pauses.resume(console.client, name)
    console.at_redis.forget()
    return away("/lanes")
