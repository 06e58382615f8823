"""What waits on a lane, and one entry of it with its document."""

from __future__ import annotations

from starlette.responses import Response

from worker.console.context import ConsoleContext
from worker.console.rendering import render
from worker.console.request_context import HttpError, RequestContext
from worker.console.source_lines import source_lines
from worker.dead_letters.redacted_text import redact
from worker.queries.waiting import held_entries, waiting_entries, waiting_entry
from worker.queue.lease_queue import is_entry_id
from worker.settings import INTERNAL_LANE

_PAGE = 50


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the entries of a lane, fifty a page: the oldest or the newest, of one source, with a text in their key, or those
    that a process works on. Raises HttpError.
    """
    lane, limit = _lane(console, context), context.rows(_PAGE)
    source, key, holder = (context.query(name) for name in ("source", "key", "holder"))
    order = "newest" if context.query("order") == "newest" else "oldest"
    after = context.query("after") if is_entry_id(context.query("after")) else ""
    if holder:
        entries = held_entries(console.client, lane, holder, limit=limit)
    else:
        entries = waiting_entries(
            console.client, lane, newest=order == "newest", source=source, key=key, after=after, limit=limit
        )
    values = {"lane": lane, "waiting": entries, "order": order, "after": after, "holder": holder}
    return render(context, "waiting.html", {**values, "filters": {"source": source, "key": key}})


def one(console: ConsoleContext, context: RequestContext) -> Response:
    """Show an entry with the beginning of its document. Raises HttpError."""
    lane, id_ = _lane(console, context), context.request.path_params["entry"]
    found = waiting_entry(console.client, lane, id_)
    if found is None:
        raise HttpError(404, "No such entry waits on this lane. It may have its outcome by now: search for its id.")
    entry, prefix = found
    raw = prefix.fields.get(b"raw", b"")
    lines = source_lines(redact(raw), [])
    values = {"lane": lane, "entry": entry, "lines": lines, "size": prefix.raw_size, "shown_bytes": len(raw)}
    return render(context, "entry.html", values)


def _lane(console: ConsoleContext, context: RequestContext) -> str:
    name = str(context.request.path_params["lane"])
    if name not in {INTERNAL_LANE, *(lane.name for lane in console.config.lane_list)}:
        raise HttpError(404, "There is no such lane.")
    return name
