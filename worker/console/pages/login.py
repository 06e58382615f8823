"""The door, where a token guards it; and light or dark."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from worker.console.context import ConsoleContext
from worker.console.rendering import THEMES, away, keep_theme, local, render
from worker.console.request_context import HttpError, RequestContext
from worker.console.sessions import COOKIE, HOURS
from worker.telemetry.logs import get_logger

log = get_logger("console")

WRONG = "That is not the token."


def is_secure(context: RequestContext) -> bool:
    """Whether the browser came by TLS."""
    return bool(context.request.app.state.secure) or context.request.scope.get("scheme") == "https"


def keep_session(response: Response, context: RequestContext) -> None:
    """Give the browser the session's cookie, which no script can read and no other site's page can make it send."""
    response.set_cookie(
        COOKIE, context.session.id, max_age=HOURS * 3600, httponly=True, samesite="strict", secure=is_secure(context)
    )


def page(_: ConsoleContext, context: RequestContext) -> Response:
    """Ask for the token."""
    target = local(context.query("next"))
    return away(target) if context.session.is_open else render(context, "login.html", {"next": target, "wrong": ""})


async def with_token(console: ConsoleContext, context: RequestContext) -> RequestContext:
    """`asked` with an open session where its form holds the right token; else as it is."""
    offered = context.form_value("token")
    opened = await console.sessions.login(offered)
    if opened is not None:
        return replace(context, session=opened)
    if offered:
        client = context.request.client
        log.warning("A wrong token at the console", client=client.host if client else "unknown")
    return context


def enter(_: ConsoleContext, context: RequestContext) -> Response:
    """Go on where a session was opened by the form's token; else ask again."""
    target = local(context.form_value("next"))
    if context.session.is_open:
        return away(target)
    return render(context, "login.html", {"next": target, "wrong": WRONG}, status=401)


def leave(console: ConsoleContext, context: RequestContext) -> Response:
    """Close it behind oneself."""
    console.sessions.logout(context.session)
    response = away("/login")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=is_secure(context))
    return response


def theme(_: ConsoleContext, context: RequestContext) -> Response:
    """Light, dark, or as the system has it; kept in a cookie, so it works without a script and never flashes."""
    chosen = context.form_value("theme")
    if chosen not in THEMES:
        raise HttpError(400, "There is no such theme.")
    response = away(local(context.form_value("next")))
    keep_theme(response, chosen, secure=is_secure(context))
    return response


def who(console: ConsoleContext, context: RequestContext) -> str | None:
    """Whom the record names: None for the user that runs the console, else from where somebody came with the token."""
    client = context.request.client
    return f"console, from {client.host if client else 'unknown'}" if console.sessions.needs_token else None
