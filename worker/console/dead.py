"""Dead letters by cause, and the letters of a cause."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from worker.console.asked import Asked, number_of
from worker.console.desk import Desk
from worker.console.page import render
from worker.store import dead

_PAGE = 50
NAMES = ("source", "code", "text")


def wanted_of(values: Mapping[str, str]) -> dead.Filter:
    """Open dead letters of a source, a code, with a text."""
    source, code, text = (values.get(name) or None for name in NAMES)
    return dead.Filter(source=source, code=code, text=text)


def filters(asked: Asked, *, sent: bool = False) -> dict[str, str]:
    """What the address or the form asks for."""
    return {name: asked.sent(name) if sent else asked.query(name) for name in NAMES}


def causes(desk: Desk, asked: Asked) -> Response:
    """Open dead letters by code and source, the most frequent first."""
    asked_for = filters(asked)
    with desk.engine.connect() as connection:
        found = dead.groups(connection, wanted_of(asked_for))
    total = sum(int(row._mapping["count"]) for row in found)
    values = {"groups": found[:200], "more": max(0, len(found) - 200), "total": total, "wanted": asked_for}
    return render(asked, "dead.html", values)


def letters(desk: Desk, asked: Asked) -> Response:
    """The open dead letters of a cause, fifty a page, with what can be done to all of them."""
    asked_for = filters(asked)
    after = number_of(asked.query("after")) or 0
    with desk.engine.connect() as connection:
        found = dead.find(connection, wanted_of(asked_for), after=after, most=_PAGE + 1)
        total = dead.count(connection, wanted_of(asked_for))
    older = found[_PAGE - 1].id if len(found) > _PAGE else None
    values = {"letters": found[:_PAGE], "next": older, "after": after, "total": total, "wanted": asked_for}
    return render(asked, "letters.html", values)
