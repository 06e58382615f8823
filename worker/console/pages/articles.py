"""One article with its versions, links, images and story."""

from __future__ import annotations

from starlette.responses import Response

from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import HttpError, RequestContext
from worker.queries.articles import article


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the article with the number in the path. Raises HttpError."""
    with console.engine.connect() as connection:
        values = article(connection, context.number("number"))
    if values is None:
        raise HttpError(404, "There is no article of that number.")
    return render(context, "article.html", values)
