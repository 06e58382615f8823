"""The door, where a token guards it; and light or dark."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from worker.console.asked import Asked, Refused
from worker.console.desk import Desk
from worker.console.page import THEMES, away, keep_theme, local, render
from worker.console.sessions import COOKIE, HOURS
from worker.observe.logs import get_logger

log = get_logger("console")

WRONG = "That is not the token."


def is_secure(asked: Asked) -> bool:
    """Whether the browser came by TLS."""
    return bool(asked.request.app.state.secure) or asked.request.scope.get("scheme") == "https"


def keep_session(response: Response, asked: Asked) -> None:
    """Give the browser the session's cookie, which no script can read and no other site's page can make it send."""
    response.set_cookie(
        COOKIE, asked.session.id, max_age=HOURS * 3600, httponly=True, samesite="strict", secure=is_secure(asked)
    )


def page(_: Desk, asked: Asked) -> Response:
    """Ask for the token."""
    target = local(asked.query("next"))
    return away(target) if asked.session.is_open else render(asked, "login.html", {"next": target, "wrong": ""})


async def with_token(desk: Desk, asked: Asked) -> Asked:
    """`asked` with an open session where its form holds the right token; else as it is."""
    offered = asked.sent("token")
    opened = await desk.sessions.login(offered)
    if opened is not None:
        return replace(asked, session=opened)
    if offered:
        client = asked.request.client
        log.warning("A wrong token at the console", client=client.host if client else "unknown")
    return asked


def enter(_: Desk, asked: Asked) -> Response:
    """Go on where a session was opened by the form's token; else ask again."""
    target = local(asked.sent("next"))
    if asked.session.is_open:
        return away(target)
    return render(asked, "login.html", {"next": target, "wrong": WRONG}, status=401)


def leave(desk: Desk, asked: Asked) -> Response:
    """Close it behind oneself."""
    desk.sessions.logout(asked.session)
    response = away("/login")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=is_secure(asked))
    return response


def theme(_: Desk, asked: Asked) -> Response:
    """Light, dark, or as the system has it; kept in a cookie, so it works without a script and never flashes."""
    chosen = asked.sent("theme")
    if chosen not in THEMES:
        raise Refused(400, "There is no such theme.")
    response = away(local(asked.sent("next")))
    keep_theme(response, chosen, secure=is_secure(asked))
    return response


def who(desk: Desk, asked: Asked) -> str | None:
    """Whom the record names: None for the user that runs the console, else from where somebody came with the token."""
    client = asked.request.client
    return f"console, from {client.host if client else 'unknown'}" if desk.sessions.needs_token else None
