"""The lanes, with pause and resume."""

from __future__ import annotations

import time

from starlette.responses import Response

from worker.console.asked import Asked, Refused
from worker.console.desk import Desk
from worker.console.login import who
from worker.console.page import away, render
from worker.intake import lanes
from worker.operate.lanes import sentences
from worker.operate.replay import operator


def page(desk: Desk, asked: Asked) -> Response:
    """Each lane with what waits on it, who paused it, and its buttons."""
    found, _ = desk.at_redis.get()
    if found is None or "lanes" not in found:
        # Asked directly, so that the page says why Redis cannot be used.
        lanes.paused(desk.client)
        raise Refused(503, "Redis does not answer yet. Load the page again.")
    weights = {lane.name: lane for lane in desk.config.lane_list}
    held = lanes.paused(desk.client)
    shown = [{**lane, "weight": weights[lane["lane"]].weight, "source": weights[lane["lane"]].source,
              "held": held.get(lane["lane"]), "faults": sentences(lane)} for lane in found["lanes"]]  # fmt: skip
    others = {name: pause for name, pause in held.items() if name not in weights}
    return render(asked, "lanes.html", {"lanes": shown, "others": others})


def pause(desk: Desk, asked: Asked) -> Response:
    """Serve a lane no more."""
    name, reason = asked.request.path_params["lane"], asked.sent("reason")
    if name not in {lane.name for lane in desk.config.lane_list}:
        raise Refused(404, "There is no such lane.")
    if not reason:
        raise Refused(422, "Say why, for those who find the lane paused.")
    lanes.pause(desk.client, name, lanes.Pause(who(desk, asked) or operator(), time.time(), reason))
    desk.at_redis.forget()
    return away("/lanes")


def resume(desk: Desk, asked: Asked) -> Response:
    """Serve a lane again, also one that is configured no more."""
    name = asked.request.path_params["lane"]
    if name not in lanes.paused(desk.client):
        raise Refused(409, "That lane is not paused.")
    lanes.resume(desk.client, name)
    desk.at_redis.forget()
    return away("/lanes")
