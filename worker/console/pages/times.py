"""Where time goes: how long documents take, how long each stage of a batch takes, and which became slow, and when."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from worker.activity.minute_counters import Minute
from worker.console.charts import plots
from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import HttpError, RequestContext
from worker.monitoring.stage_times import slices, stage_times

_SPANS = {"hour": (60, 1), "day": (1440, 15), "week": (168, 2)}
"""Span → how many minutes (for the week: hours), and how many of them are one interval."""


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the times of the last hour, day or week. Raises HttpError."""
    span = context.query("span") if context.query("span") in _SPANS else "hour"
    lanes = [lane.name for lane in console.config.lane_list]
    lane = context.query("lane") if context.query("lane") in lanes else ""
    count, width = _SPANS[span]
    parts = _parts(console, span, count)
    if lane:
        parts = [_of_lane(part, lane) for part in parts]
    intervals = slices(parts, width=width, seconds=3600 if span == "week" else 60)
    stages = stage_times(intervals)
    values = {
        "span": span,
        "spans": list(_SPANS),
        "lane": lane,
        "lanes": lanes,
        "latency": plots.latency(intervals),
        "stages": [(one, plots.stage(intervals, one.stage)) for one in stages],
        "is_held": bool(context.query("hold")),
    }
    return render(context, "times.html", values)


def _parts(console: ConsoleContext, span: str, count: int) -> Sequence[Minute]:
    if span == "week":
        hours, _ = console.hours.get()
        return hours or []
    snapshot, _ = console.redis_snapshot.get()
    if snapshot is None or snapshot.queue is None:
        raise HttpError(503, "Redis does not answer yet. Load the page again.")
    return console.poller.minutes[-count:]


def _of_lane(part: Minute, lane: str) -> Minute:
    """Return the counters of one lane that the times are computed from."""
    one = Minute(part.at)
    one.batches[lane] = part.batches[lane]
    one.outcomes.update({key: count for key, count in part.outcomes.items() if key[0] == lane})
    one.stages_ms.update({key: spent for key, spent in part.stages_ms.items() if key[0] == lane})
    one.waits.update({key: count for key, count in part.waits.items() if key[0] == lane})
    return one
