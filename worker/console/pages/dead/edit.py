"""One dead letter: its text with the problems marked, an editor that checks while typing, replay and discard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import redis
from markupsafe import escape
from starlette.responses import Response

from schemas.codes import WORKER_CODES
from schemas.problem import Problem, Severity
from worker.console.context import ConsoleContext
from worker.console.recording import actor, record
from worker.console.rendering import message, path, redirect, render
from worker.console.request_context import HttpError, RequestContext
from worker.console.source_lines import source_lines
from worker.dead_letters import editing
from worker.dead_letters.editing import DeadLetter, DeadLetterChanged
from worker.store import dead_letters
from worker.store.engine import writing
from worker.telemetry.logs import mask


def page(console: ConsoleContext, context: RequestContext) -> Response:
    """Show the dead letter as it is."""
    dead_letter = _dead_letter(console, context)
    return _page(console, context, dead_letter, text=None, checked=None)


def check(console: ConsoleContext, context: RequestContext) -> Response:
    """Check the text in the editor and change nothing. HTMX gets only the result, else the whole page is shown."""
    dead_letter = _dead_letter(console, context)
    text = _text(dead_letter, context)
    checked = _checked(console, dead_letter, text)
    if context.is_htmx:
        return render(context, "check.html", {"checked": checked})
    return _page(console, context, dead_letter, text=context.form.get("text", ""), checked=checked)


def replay(console: ConsoleContext, context: RequestContext) -> Response:
    """Store the text and replay it if it passes; else show the page again with its problems. Raises HttpError."""
    dead_letter = _dead_letter(console, context)
    text = _text(dead_letter, context)
    checked = _checked(console, dead_letter, text)
    if checked["errors"]:
        return _page(console, context, dead_letter, text=context.form.get("text", ""), checked=checked, status=422)
    try:
        editing.edit_and_replay(console.engine, console.client, dead_letter, text, actor(console, context))
    except DeadLetterChanged as changed:
        raise HttpError(409, f"Nothing was sent: {changed}.") from None
    except redis.RedisError as error:
        stored = _dead_letter(console, context)
        if stored.raw != text:
            raise
        # The text was stored before Redis failed. Its marks for hidden values are new ones now.
        context = replace(context, form={**context.form, "text": stored.shown.text, "version": stored.version})
        return message(context, "Redis cannot be used", mask(str(error))[:500], status=503)
    record(console, context, "dead edit", f"dead letter {dead_letter.row.id}")
    console.store_status.forget()
    return redirect(path("dead", dead_letter.row.id))


def discard(console: ConsoleContext, context: RequestContext) -> Response:
    """Discard the dead letter. Raises HttpError."""
    dead_letter = _dead_letter(console, context)
    reason = context.form_value("reason")
    if not reason:
        raise HttpError(422, "Give a reason.")
    if dead_letter.row.status != "open":
        raise HttpError(409, f"It is {dead_letter.row.status} already.")
    with writing(console.engine) as connection:
        if not dead_letters.discard(connection, dead_letter.row.id, actor(console, context), reason):
            raise HttpError(409, "Somebody else has closed it in the meantime.")
    record(console, context, "dead discard", f"dead letter {dead_letter.row.id}", reason)
    console.store_status.forget()
    return redirect(path("dead", dead_letter.row.id))


def _dead_letter(console: ConsoleContext, context: RequestContext) -> DeadLetter:
    dead_letter = editing.dead_letter(console.engine, context.number("number"))
    if dead_letter is None:
        raise HttpError(404, "There is no dead letter of that number.")
    return dead_letter


def _text(dead_letter: DeadLetter, context: RequestContext) -> bytes:
    """Return the document that the editor's text stands for.

    Raises HttpError if it cannot be replayed, or if somebody else has edited the dead letter.
    """
    if dead_letter.row.status != "open":
        raise HttpError(409, f"It is {dead_letter.row.status}, so it cannot be replayed.")
    if not dead_letter.can_be_replayed:
        raise HttpError(409, "There is no document to replay. Its sender must send it again.")
    shown, text = dead_letter.shown, context.form.get("text", "")
    raw = dead_letter.raw or b""
    # An unchanged text stands for the original bytes, also when its line ends are mixed. If the document was not UTF-8,
    # the replayed one is.
    is_same = shown.encoding == "UTF-8" and text.replace("\r\n", "\n") == shown.text
    meant = raw if is_same else shown.raw(text)
    # An equal text with an older version: it was stored before Redis or the connection failed, and is sent again.
    if context.form_value("version") != dead_letter.version and meant != raw:
        raise HttpError(
            409,
            "Somebody else has edited it in the meantime, so yours was not sent. Apply your changes to the new text.",
        )
    return meant


def _checked(console: ConsoleContext, dead_letter: DeadLetter, text: bytes) -> dict[str, Any]:
    """Return `errors` and `warnings`. A document that crashed its process is not parsed here, however it was edited."""
    if dead_letter.row.code in WORKER_CODES:
        return {"errors": [], "warnings": [], "is_unread": True, "is_edit": text != dead_letter.raw}
    problems = editing.check(dead_letter, text, console.limits)
    errors = [one for one in problems if one.severity is Severity.ERROR]
    warnings = [one for one in problems if one.severity is not Severity.ERROR]
    return {"errors": errors, "warnings": warnings, "is_unread": False, "is_edit": text != dead_letter.raw}


def _page(
    console: ConsoleContext,
    context: RequestContext,
    dead_letter: DeadLetter,
    *,
    text: str | None,
    checked: dict[str, Any] | None,
    status: int = 200,
) -> Response:
    shown, problems = dead_letter.shown, dead_letter.problems
    can_edit = dead_letter.row.status == "open" and dead_letter.can_be_replayed
    last = dead_letter.actions[-1].action if dead_letter.actions else ""
    if checked is None and can_edit:
        checked = _checked(console, dead_letter, dead_letter.raw or b"")
    with console.engine.connect() as connection:
        same_cause = dead_letters.Filter(code=dead_letter.row.code)
        previous, following = dead_letters.neighbours(connection, same_cause, dead_letter.row.id)
    values = {
        "previous": previous,
        "following": following,
        "dead_letter": dead_letter,
        "problems": problems,
        "lines": source_lines(shown, _placed(problems)),
        "kept_bytes": len(dead_letter.content),
        "encoding": shown.encoding,
        "has_hidden": bool(shown.secrets),
        # The user's text is not masked: a replay would send the mask.
        "text": shown.text if text is None else escape(text),
        "rows": min(26, max(8, shown.text.count("\n") + 2)),
        "can_edit": can_edit,
        "is_replaying": dead_letter.row.status == "open" and last == "replayed",
        "checked": checked,
    }
    return render(context, "dead_letter.html", values, status=status)


def _placed(problems: list[Problem]) -> list[Problem]:
    """Return errors before warnings, so that they get the mark of their line."""
    return sorted(problems, key=lambda one: one.severity is not Severity.ERROR)
