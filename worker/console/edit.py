"""One dead letter: its text with what is wrong marked, an editor that checks as you type, replay and discard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import redis
from markupsafe import escape
from starlette.responses import Response

from schemas.codes import WORKER_CODES
from schemas.problem import Problem, Severity
from worker.console.asked import Asked, Refused
from worker.console.desk import Desk
from worker.console.login import who
from worker.console.page import away, message, path, render
from worker.console.source import source_lines
from worker.observe.logs import mask
from worker.operate import letter as letters
from worker.operate.letter import Letter, LetterChanged
from worker.operate.replay import operator
from worker.store import dead
from worker.store.engine import writing


def page(desk: Desk, asked: Asked) -> Response:
    """The letter as it is."""
    found = _letter(desk, asked)
    return _page(desk, asked, found, text=None, checked=None)


def check(desk: Desk, asked: Asked) -> Response:
    """What the text in the editor would meet. Changes nothing; for HTMX the result alone, else the page with it."""
    found = _letter(desk, asked)
    text = _text(found, asked)
    checked = _checked(desk, found, text)
    if asked.is_htmx:
        return render(asked, "check.html", {"checked": checked})
    return _page(desk, asked, found, text=asked.form.get("text", ""), checked=checked)


def replay(desk: Desk, asked: Asked) -> Response:
    """Keep the text and send it, where it passes; else the page again, with what is wrong with it."""
    found = _letter(desk, asked)
    text = _text(found, asked)
    checked = _checked(desk, found, text)
    if checked["errors"]:
        return _page(desk, asked, found, text=asked.form.get("text", ""), checked=checked, status=422)
    try:
        letters.mend(desk.engine, desk.client, found, text, who(desk, asked) or operator())
    except LetterChanged as changed:
        raise Refused(409, f"Nothing was sent: {changed}.") from None
    except redis.RedisError as error:
        kept = _letter(desk, asked)
        if kept.raw != text:
            raise
        # The text was kept before Redis failed. Its marks for secrets are others now.
        asked = replace(asked, form={**asked.form, "text": kept.shown.text, "version": kept.version})
        return message(asked, "Redis cannot be used", mask(str(error))[:500], status=503)
    desk.at_store.forget()
    return away(path("dead", found.row.id))


def discard(desk: Desk, asked: Asked) -> Response:
    """Close it for good."""
    found = _letter(desk, asked)
    reason = asked.sent("reason")
    if not reason:
        raise Refused(422, "Say why, for the record.")
    if found.row.status != "open":
        raise Refused(409, f"It is {found.row.status} already.")
    with writing(desk.engine) as connection:
        if not dead.discard(connection, found.row.id, who(desk, asked) or operator(), reason):
            raise Refused(409, "It was closed meanwhile.")
    desk.at_store.forget()
    return away(path("dead", found.row.id))


def _letter(desk: Desk, asked: Asked) -> Letter:
    found = letters.letter(desk.engine, asked.number("number"))
    if found is None:
        raise Refused(404, "There is no dead letter of that number.")
    return found


def _text(found: Letter, asked: Asked) -> bytes:
    """The bytes that the editor means. Raises Refused where they cannot be sent, or the letter is another by now."""
    if found.row.status != "open":
        raise Refused(409, f"It is {found.row.status}, and cannot be sent again.")
    if not found.can_be_replayed:
        raise Refused(409, "There is no document to send again; its sender must send it anew.")
    shown, text = found.shown, asked.form.get("text", "")
    raw = found.raw or b""
    # As it was shown, it is what was sent, to the byte: also where its lines end in several ways. What is no UTF-8 becomes it.
    is_same = shown.encoding == "UTF-8" and text.replace("\r\n", "\n") == shown.text
    meant = raw if is_same else shown.raw(text)
    # The same text under an older version: it was kept before Redis or the connection failed, and comes again.
    if asked.sent("version") != found.version and meant != raw:
        raise Refused(
            409, "Somebody else has mended it meanwhile, and yours was not sent. Bring your changes to their text."
        )
    return meant


def _checked(desk: Desk, found: Letter, text: bytes) -> dict[str, Any]:
    """`errors` and `warnings`; a document that ended the process that read it is not read here, in whatever form."""
    if found.row.code in WORKER_CODES:
        return {"errors": [], "warnings": [], "is_unread": True, "is_edit": text != found.raw}
    problems = letters.check(found, text, desk.limits)
    errors = [one for one in problems if one.severity is Severity.ERROR]
    warnings = [one for one in problems if one.severity is not Severity.ERROR]
    return {"errors": errors, "warnings": warnings, "is_unread": False, "is_edit": text != found.raw}


def _page(
    desk: Desk, asked: Asked, found: Letter, *, text: str | None, checked: dict[str, Any] | None, status: int = 200
) -> Response:
    shown, problems = found.shown, found.problems
    can_edit = found.row.status == "open" and found.can_be_replayed
    last = found.actions[-1].action if found.actions else ""
    if checked is None and can_edit:
        checked = _checked(desk, found, found.raw or b"")
    values = {
        "letter": found,
        "problems": problems,
        "lines": source_lines(shown, _placed(problems)),
        "kept": len(found.kept),
        "encoding": shown.encoding,
        "has_hidden": bool(shown.hidden),
        # What somebody wrote is not masked, or a replay would send the mask.
        "text": shown.text if text is None else escape(text),
        "rows": min(26, max(8, shown.text.count("\n") + 2)),
        "can_edit": can_edit,
        "is_under_way": found.row.status == "open" and last == "replayed",
        "checked": checked,
    }
    return render(asked, "letter.html", values, status=status)


def _placed(problems: list[Problem]) -> list[Problem]:
    """Errors before warnings, so that they get the mark of their line."""
    return sorted(problems, key=lambda one: one.severity is not Severity.ERROR)
