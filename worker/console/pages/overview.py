"""The first page: health, throughput, backlog, and what needs action."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from starlette.responses import Response

from worker.console.charts import plots
from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import RequestContext
from worker.monitoring.alarms import About, Alarm, alarms
from worker.monitoring.pending_work import pending_work_sentences
from worker.monitoring.rates import Interval, hour_intervals, intervals
from worker.monitoring.status import Snapshot
from worker.store.sources.source_hours import EVERYTHING

_MAX_SOURCES = 12
_MAX_CODES = 12
_SPANS = {
    "hour": ("last hour, by the minute", 1, 60),
    "day": ("last day, by the quarter of an hour", 15, 96),
    "week": ("last week, by two hours", 2, 84),
}
"""Span → its words, how many minutes are one interval (of the week: hours), and how many intervals it has."""
_PAGES = {About.WORKER: "/workers", About.LANE: "/lanes", About.SOURCE: "/sources"}


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the overview. It names a server that cannot be reached, and shows the data of the other one."""
    span = context.query("span") if context.query("span") in _SPANS else "hour"
    from_redis, redis_age = console.redis_snapshot.get()
    store, store_age = console.store_status.get()
    snapshot = replace(from_redis or Snapshot(), store=store)
    queue, plotted = snapshot.queue, _intervals(console, snapshot, span)
    dead_letters = store.dead_letters if store else {}
    values = {
        "queue": queue,
        "store": store,
        "servers": snapshot.servers,
        "alarms": [(alarm, _page_of(alarm)) for alarm in alarms(snapshot)],
        "span": span,
        "spans": list(_SPANS),
        "span_words": _SPANS[span][0],
        "intervals": plotted,
        "throughput": plots.throughput(plotted) if plotted else None,
        "rejected": plots.rejected(plotted) if plotted else None,
        "backlog": plots.backlog(plotted) if plotted else None,
        "sources": queue.recent.day.ranked_sources[:_MAX_SOURCES] if queue else [],
        "codes": list(dead_letters.items())[:_MAX_CODES],
        "open_dead_letters": sum(dead_letters.values()),
        "redis_age": redis_age,
        "store_age": store_age,
        "pending_work": list(pending_work_sentences(store.enriching)) if store else [],
        "is_loading": from_redis is None or store is None,
        "is_held": bool(context.query("hold")),
    }
    # A server that has not been read yet does not count as unreachable.
    is_well = all(server.ok for server in snapshot.servers.values())
    return render(context, "overview.html", values, status=200 if is_well else 503)


def _page_of(alarm: Alarm) -> str | None:
    """Return the address of the page on which an operator continues, or None."""
    if alarm.about is About.SOURCE and alarm.name not in ("", EVERYTHING[0]):
        return f"/sources/of?{urlencode({'source': alarm.name})}"
    return _PAGES.get(alarm.about)


def _intervals(console: ConsoleContext, snapshot: Snapshot, span: str) -> list[Interval]:
    if snapshot.queue is None:
        return []
    _, width, count = _SPANS[span]
    backlog = snapshot.queue.sum.backlog
    if span == "week":
        hours, _ = console.hours.get()
        return hour_intervals(hours or [], width=width, backlog=backlog)
    return intervals(console.poller.minutes, width=width, count=count, backlog=backlog)
