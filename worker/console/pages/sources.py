"""What each source sends, and the share of it that is rejected, since when, and why; a page for each source."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import redis
from starlette.responses import Response

from schemas.envelope import is_source
from worker.console.charts.source_trend import trend_bars, trend_days
from worker.console.context import SPANS, ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import HttpError, RequestContext, number_of
from worker.monitoring.sources.overview import overview
from worker.queries.sources.source_activity import source_activity
from worker.queue.pauses.lane_pauses import Pause
from worker.queue.pauses.source_pauses import paused_sources

_PAGE = 100
_MAX_OFFSET = 1_000_000


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the sources, those with alarms first, and the rejections of the last day or week; or those with a text in their
    name.

    Rejections are counted in the background, and at most half a minute old if counting is quick.
    """
    hours = next((span for span in SPANS if str(span) == context.query("hours")), SPANS[0])
    text, offset, limit = context.query("name"), number_of(context.query("after")) or 0, context.rows(_PAGE)
    stats, seconds = console.sources[hours].get()
    if stats is not None and text:
        stats = [one for one in stats if text.casefold() in one.source.casefold()]
    heard = overview(console.engine, text=text, limit=limit + 1, offset=min(offset, _MAX_OFFSET))
    values = {
        "sources": None if stats is None else stats[:limit],
        "more": max(0, len(stats or ()) - limit),
        "heard": heard[:limit],
        "after": offset,
        "next": offset + limit if len(heard) > limit else None,
        "filters": {"name": text},
        "now": time.time(),
        "hours": hours,
        "spans": SPANS,
        "age": seconds,
    }
    return render(context, "sources.html", values)


def one(console: ConsoleContext, context: RequestContext) -> Response:
    """Show one source: its trend, its sites, its slowest documents and its newest rejected ones. Raises HttpError."""
    source = context.query("source")
    heard = overview(console.engine, source=source)
    if not heard:
        raise HttpError(
            404, "Nothing of this source is counted. A new source appears about a minute after its first document."
        )
    with console.engine.connect() as connection:
        activity = source_activity(connection, source, now=datetime.now(UTC))
    values = {
        "source": source,
        "lane": heard[0].lane,
        "pauses": _pauses(console, source),
        "heard": heard,
        "now": time.time(),
        "activity": activity,
        "bars": trend_bars(activity.pieces),
        "days": trend_days(activity.pieces),
        "most": max(piece.documents for piece in activity.pieces),
    }
    return render(context, "source.html", values)


def _pauses(console: ConsoleContext, source: str) -> Mapping[str, Pause | None] | None:
    """Return lane → the pause of the source there, or None; the lanes on which it can be paused. None without Redis."""
    lanes = [lane.name for lane in console.config.lane_list if lane.source is None]
    if not is_source(source):
        return {}
    try:
        return {lane: paused_sources(console.client, lane).get(source) for lane in lanes}
    except (redis.RedisError, OSError):
        return None
