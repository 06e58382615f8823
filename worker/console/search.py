"""Search: by words of a title, a URL, a key or a receipt id."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from worker.console.asked import Asked
from worker.console.desk import Desk
from worker.console.page import render
from worker.operate.pending import pending
from worker.operate.search import NEWEST, search
from worker.settings import INTERNAL_LANE


def page(desk: Desk, asked: Asked) -> Response:
    """What was found, or how to look."""
    wanted = asked.query("q")[:500]
    found, waiting = None, list[dict[str, Any]]()
    if wanted:
        with desk.engine.connect() as connection:
            found = search(connection, wanted)
        if found.by == "receipt id" and found.is_empty:
            # It may have no outcome yet.
            lanes = [*(lane.name for lane in desk.config.lane_list), INTERNAL_LANE]
            waiting = pending(desk.client, lanes, wanted)
    return render(asked, "search.html", {"wanted": wanted, "found": found, "waiting": waiting, "newest": NEWEST})
