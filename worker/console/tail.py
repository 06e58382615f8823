"""What becomes of documents just now."""

from __future__ import annotations

from starlette.responses import Response

from schemas.receipt import Outcome
from worker.console.asked import Asked
from worker.console.desk import Desk
from worker.console.page import render
from worker.intake.feed import Told

_SHOWN = 100


def page(desk: Desk, asked: Asked) -> Response:
    """The newest outcomes that match; the page asks again every two seconds unless it is held."""
    wanted = {name: asked.query(name) for name in ("source", "outcome", "code", "url")}
    told = desk.tail.look()
    matching = [one for one in told if matches(one, wanted)]
    values = {
        "told": matching[:_SHOWN],
        "count": len(matching),
        "of": len(list(told)),
        "wanted": wanted,
        "outcomes": [str(outcome) for outcome in Outcome],
        "hold": bool(asked.query("hold")),
    }
    return render(asked, "tail.html", values)


def matches(told: Told, wanted: dict[str, str]) -> bool:
    """Whether an outcome is among those asked for; empty: all are."""
    return (
        wanted["source"] in ("", told.source)
        and wanted["outcome"] in ("", told.outcome)
        and (not wanted["code"] or wanted["code"] in told.codes)
        and (not wanted["url"] or wanted["url"] in (told.url or "") or wanted["url"] in (told.key or ""))
    )
