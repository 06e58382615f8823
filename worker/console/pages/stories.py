"""Stories: articles about one event, and which of them is the lead."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import HttpError, RequestContext, number_of
from worker.queries.stories import list_stories, story

_PAGE = 20


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the stories with the newest articles, twenty a page."""
    topic = context.query("topic")
    before = _place(context.query("before"))
    with console.engine.connect() as connection:
        newest = list_stories(connection, topic=topic or None, limit=_PAGE + 1, before=before)
    last = newest[_PAGE - 1] if len(newest) > _PAGE else None
    older = f"{last['last_at']}~{last['id']}" if last and last["last_at"] else ""
    values = {"stories": newest[:_PAGE], "topic": topic, "older": older, "before": before}
    return render(context, "stories.html", values)


def _place(text: str) -> tuple[datetime, int] | None:
    moment, _, last = text.partition("~")
    number = number_of(last)
    if number is None:
        return None
    try:
        return datetime.fromisoformat(moment).astimezone(UTC), number
    except (ValueError, OverflowError):
        return None


def one(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the story with the number in the path. Raises HttpError."""
    with console.engine.connect() as connection:
        shown = story(connection, context.number("number"))
    if shown is None:
        raise HttpError(404, "There is no story of that number. A story ends when its articles move to other stories.")
    return render(context, "story.html", {"story": shown})
