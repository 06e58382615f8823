"""Stories: which articles tell the same, and which of them leads."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from worker.console.asked import Asked, Refused, number_of
from worker.console.desk import Desk
from worker.console.page import render
from worker.operate.stories import list_stories, story

_PAGE = 20


def page(desk: Desk, asked: Asked) -> Response:
    """The stories whose latest article is newest, twenty a page."""
    topic = asked.query("topic")
    before = _place(asked.query("before"))
    with desk.engine.connect() as connection:
        found = list_stories(connection, topic=topic or None, most=_PAGE + 1, before=before)
    more = found[_PAGE - 1] if len(found) > _PAGE else None
    older = f"{more['last_at']}~{more['id']}" if more and more["last_at"] else ""
    return render(asked, "stories.html", {"stories": found[:_PAGE], "topic": topic, "older": older, "before": before})


def _place(text: str) -> tuple[datetime, int] | None:
    moment, _, last = text.partition("~")
    number = number_of(last)
    if number is None:
        return None
    try:
        return datetime.fromisoformat(moment).astimezone(UTC), number
    except (ValueError, OverflowError):
        return None


def one(desk: Desk, asked: Asked) -> Response:
    """The page of a story's number."""
    with desk.engine.connect() as connection:
        found = story(connection, asked.number("number"))
    if found is None:
        raise Refused(404, "There is no story of that number; stories end when their articles go elsewhere.")
    return render(asked, "story.html", {"story": found})
