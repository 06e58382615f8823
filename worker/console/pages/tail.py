"""The newest outcomes."""

from __future__ import annotations

from starlette.responses import Response

from schemas.receipt import Outcome
from worker.activity.outcome_feed import OutcomeRecord
from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import RequestContext, number_of

_SHOWN = 50


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the newest outcomes that match. The page polls every two seconds unless its updates are stopped, as they are on the
    pages of older ones.
    """
    filters = {name: context.query(name) for name in ("source", "outcome", "code", "url")}
    records = console.tail.poll()
    matching = [record for record in records if matches(record, filters)]
    first, shown = min(number_of(context.query("after")) or 0, len(matching)), context.rows(_SHOWN)
    values = {
        "records": matching[first : first + shown],
        "first": first,
        "next": first + shown if len(matching) > first + shown else None,
        "count": len(matching),
        "of": len(records),
        "filters": filters,
        "outcomes": [str(outcome) for outcome in Outcome],
        "is_held": bool(context.query("hold") or first),
    }
    return render(context, "tail.html", values)


def matches(record: OutcomeRecord, filters: dict[str, str]) -> bool:
    """Return whether an outcome matches. An empty value matches everything."""
    return (
        filters["source"] in ("", record.source)
        and filters["outcome"] in ("", record.outcome)
        and (not filters["code"] or filters["code"] in record.codes)
        and (not filters["url"] or filters["url"] in (record.url or "") or filters["url"] in (record.key or ""))
    )
