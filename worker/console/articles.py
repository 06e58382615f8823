"""One article with its versions, links, images and story."""

from __future__ import annotations

from starlette.responses import Response

from worker.console.asked import Asked, Refused
from worker.console.desk import Desk
from worker.console.page import render
from worker.operate.article import article


def page(desk: Desk, asked: Asked) -> Response:
    """The page of an article's number."""
    with desk.engine.connect() as connection:
        found = article(connection, asked.number("number"))
    if found is None:
        raise Refused(404, "There is no article of that number.")
    return render(asked, "article.html", found)
