"""The newest outcomes."""

from __future__ import annotations

from starlette.responses import Response

from schemas.receipt import Outcome
from worker.activity.outcome_feed import OutcomeRecord
from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import RequestContext

_SHOWN = 100


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the newest outcomes that match. The page polls every two seconds unless it is held."""
    wanted = {name: context.query(name) for name in ("source", "outcome", "code", "url")}
    record = console.tail.poll()
    matching = [one for one in record if matches(one, wanted)]
    values = {
        "told": matching[:_SHOWN],
        "count": len(matching),
        "of": len(list(record)),
        "wanted": wanted,
        "outcomes": [str(outcome) for outcome in Outcome],
        "hold": bool(context.query("hold")),
    }
    return render(context, "tail.html", values)


def matches(record: OutcomeRecord, wanted: dict[str, str]) -> bool:
    """Return whether an outcome matches. An empty value matches everything."""
    return (
        wanted["source"] in ("", record.source)
        and wanted["outcome"] in ("", record.outcome)
        and (not wanted["code"] or wanted["code"] in record.codes)
        and (not wanted["url"] or wanted["url"] in (record.url or "") or wanted["url"] in (record.key or ""))
    )
