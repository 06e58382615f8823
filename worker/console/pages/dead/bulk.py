"""Actions on many dead letters, ticked ones or all of a cause: a dry run with or without an edit, a replay, a discard."""

from __future__ import annotations

import re
from dataclasses import replace

from starlette.responses import Response

from worker.console.background_jobs import Busy, Job, TextEdit
from worker.console.context import ConsoleContext
from worker.console.pages.dead.lists import filter_of, filter_values
from worker.console.recording import actor, record
from worker.console.rendering import path, redirect, render
from worker.console.request_context import HttpError, RequestContext, clean
from worker.dead_letters import bulk_actions, bulk_edit
from worker.store import dead_letters

_MAX_DISCARDED = 5000
"""Limit of one request; each has its own transaction."""


def start(console: ConsoleContext, context: RequestContext) -> Response:
    """Start a dry run, or a replay of the dead letters of a finished dry run. Raises HttpError."""
    before = console.jobs.find(context.form_value("job"))
    if before is not None:
        if before.state != "done" or before.doing != "try":
            raise HttpError(409, "That dry run has not finished.")
        selected, edit, client = before.filter, before.edit, console.client
    else:
        selected, edit, client = _selected(context), _edit(context), None
        if context.form_value("do") == "replay":
            raise HttpError(409, "A replay needs a dry run first.")
    with console.engine.connect() as connection:
        # Dead letters that arrive later are not included.
        selected = replace(selected, upto=selected.upto or dead_letters.highest(connection, selected))
        total = dead_letters.count(connection, selected)
    who = actor(console, context)
    if edit is None:
        steps = bulk_actions.steps(console.engine, selected, console.limits, client, who)
    else:
        steps = bulk_edit.steps(console.engine, selected, edit.change(), console.limits, client, who)
    try:
        job = console.jobs.start("replay" if client else "try", selected, total, steps, edit)
    except Busy as busy:
        raise HttpError(409, str(busy)) from None
    if client is not None:
        record(console, context, "dead mend" if edit else "dead replay", selected.described(total))
    return redirect(path("dead", "jobs", job.id))


def _selected(context: RequestContext) -> dead_letters.Filter:
    """Return the ticked dead letters, or with `scope=all` all that match the page's filter. Raises HttpError."""
    selected = filter_of(filter_values(context, sent=True))
    if context.form_value("scope") != "ticked":
        return selected
    if not context.ticked:
        raise HttpError(422, "Nothing is ticked. Tick dead letters, or choose all that match.")
    return replace(selected, ids=context.ticked)


def _edit(context: RequestContext) -> TextEdit | None:
    """Return the edit of the form; None if the form asks for none. Raises HttpError."""
    if context.form_value("do") != "edit":
        return None
    old, new = (clean(context.form.get(name, "")) for name in ("old", "new"))
    edit = TextEdit(old, new, is_pattern=bool(context.form_value("pattern")))
    if not old:
        raise HttpError(422, "Enter the text to replace.")
    try:
        edit.change()
    except (re.error, IndexError) as error:
        raise HttpError(422, f"This is not a regular expression: {error}.") from None
    return edit


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the progress and the result of a job."""
    return render(context, "job.html", {"job": _job(console, context)})


def stop(console: ConsoleContext, context: RequestContext) -> Response:
    """Stop a job after its present step; what was replayed stays replayed."""
    job = _job(console, context)
    job.stop.set()
    record(console, context, "stop job", job.filter.described(job.total))
    return redirect(path("dead", "jobs", job.id))


def _job(console: ConsoleContext, context: RequestContext) -> Job:
    job = console.jobs.find(context.request.path_params["job"])
    if job is None:
        raise HttpError(404, "There is no such action, or it is no longer kept.")
    return job


def discard(console: ConsoleContext, context: RequestContext) -> Response:
    """Discard the ticked dead letters, or all that match if their number is still the one on the page.

    Raises HttpError.
    """
    reason, values = context.form_value("reason"), filter_values(context, sent=True)
    if not reason:
        raise HttpError(422, "Give a reason.")
    selected = _selected(context)
    if not selected.ids and not values["code"]:
        raise HttpError(422, "Select a cause: only the command line can discard all dead letters at once.")
    with console.engine.connect() as connection:
        count = dead_letters.count(connection, selected)
        if not selected.ids and context.form_value("count") != str(count):
            raise HttpError(409, f"Meanwhile there are {count:,} of them. Load the page again.")
        if count > _MAX_DISCARDED:
            raise HttpError(422, f"More than {_MAX_DISCARDED:,} at once: copydesk dead discard does that.")
        upto = dead_letters.highest(connection, selected)
    bulk_actions.discard(console.engine, replace(selected, upto=upto), reason, actor(console, context))
    record(console, context, "dead discard", selected.described(count), reason)
    console.store_status.forget()
    return redirect("/dead")
