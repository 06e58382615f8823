"""The first page: health, throughput, backlog, and what needs action."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.responses import Response

from schemas.receipt import Outcome
from worker.console import plots
from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import RequestContext
from worker.monitoring.alarms import alarms
from worker.monitoring.rates import Piece, pieces

_MOST_SOURCES = 12
_MOST_CODES = 12
_SPANS = {"hour": ("the last hour, by the minute", 1, 60), "day": ("the last day, by the quarter of an hour", 15, 96)}


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the overview. It names a server that cannot be reached, and shows the data of the other one."""
    span = context.query("span") if context.query("span") in _SPANS else "hour"
    redis, _ = console.at_redis.get()
    store, store_age = console.at_store.get()
    found: dict[str, Any] = {**(redis or {}), **(store or {})}
    drawn = _pieces(console, found, span) if "lanes" in found else []
    values = {
        "found": found,
        "alarms": alarms(found),
        "span": span,
        "span_words": _SPANS[span][0],
        "pieces": drawn,
        "throughput": plots.throughput(drawn) if drawn else None,
        "backlog": plots.backlog(drawn) if drawn else None,
        "recent": _recent(found),
        "sources": _sources(found),
        "codes": list(found.get("dead_letters", {}).items())[:_MOST_CODES],
        "open_letters": sum(found.get("dead_letters", {}).values()),
        "store_age": store_age,
        "is_counting": store is None,
        "is_asking": redis is None or store is None,
        "hold": bool(context.query("hold")),
    }
    # A server that has not been read yet does not count as unreachable.
    is_well = all(found[name]["ok"] for name in ("redis", "database") if name in found)
    return render(context, "overview.html", values, status=200 if is_well else 503)


def _pieces(console: ConsoleContext, found: dict[str, Any], span: str) -> list[Piece]:
    _, width, count = _SPANS[span]
    return pieces(console.poller.minutes, width=width, count=count, backlog=found["sum"]["backlog"])


def _recent(found: dict[str, Any]) -> list[tuple[str, dict[str, int]]]:
    """Return the outcomes of the last minutes, hour and day, and of all time."""
    rows = [
        ({"minute": f"{part['seconds']} s", "hour": "hour", "day": "day"}[name], part["outcomes"])
        for name, part in found.get("recent", {}).items()
    ]
    ever: Counter[str] = Counter()
    for lane in found.get("lanes", []):
        ever.update(lane["outcomes"])
    stored = found.get("outcomes", {})
    # Redis has it first, the store keeps it forever. If one of them lost data, the other one has more.
    return [*rows, ("ever", {str(name): max(ever[name], stored.get(name, 0)) for name in Outcome})]


def _sources(found: dict[str, Any]) -> list[tuple[str, dict[str, int]]]:
    """Return the sources of the last day, the most rejected first."""
    day = found.get("recent", {}).get("day", {}).get("sources", {})
    ranked = sorted(day, key=lambda name: (-day[name].get("rejected", 0), -sum(day[name].values()), name))
    return [(name, day[name]) for name in ranked[:_MOST_SOURCES]]
