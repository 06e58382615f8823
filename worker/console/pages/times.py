"""Where time goes: how long documents take, how long each stage of a batch takes, and which became slow, and when."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from worker.activity.minute_counters import Minute
from worker.console.charts import plots
from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import HttpError, RequestContext
from worker.monitoring.stage_times import SPANS, STAGES, intervals_of, stage_times


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the times of the last hour, day or week. Raises HttpError."""
    span = context.query("span") if context.query("span") in SPANS else "hour"
    lanes = [lane.name for lane in console.config.lane_list]
    lane = context.query("lane") if context.query("lane") in lanes else ""
    intervals = intervals_of(span, _parts(console, span, SPANS[span][0]), lane)
    stages = stage_times(intervals)
    values = {
        "span": span,
        "spans": list(SPANS),
        "lane": lane,
        "lanes": lanes,
        "intervals": intervals,
        "names": list(STAGES),
        "latency": plots.latency(intervals),
        "stages": [(one, plots.stage(intervals, one)) for one in stages],
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
