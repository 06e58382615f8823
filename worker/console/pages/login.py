"""Login and logout, if a token is required; and the choice of the theme."""

from __future__ import annotations

from dataclasses import replace

import anyio.to_thread
from starlette.responses import Response

from worker.console.access.sessions import COOKIE, HOURS
from worker.console.context import ConsoleContext
from worker.console.recording import record
from worker.console.rendering import THEMES, local_path, redirect, render, set_theme_cookie
from worker.console.request_context import HttpError, RequestContext
from worker.telemetry.logs import get_logger

log = get_logger("console")

LOGIN_FAILED = "That is not a token of this console."


def is_secure(context: RequestContext) -> bool:
    """Return whether the browser uses TLS."""
    return bool(context.request.app.state.secure) or context.request.scope.get("scheme") == "https"


def set_session_cookie(response: Response, context: RequestContext) -> None:
    """Set the session's cookie. No script can read it, and browsers do not send it with requests of other sites."""
    response.set_cookie(
        COOKIE, context.session.id, max_age=HOURS * 3600, httponly=True, samesite="strict", secure=is_secure(context)
    )


def page(_: ConsoleContext, context: RequestContext) -> Response:
    """Show the form for the token."""
    target = local_path(context.query("next"))
    return redirect(target) if context.session.is_open else render(context, "login.html", {"next": target, "wrong": ""})


async def with_token(console: ConsoleContext, context: RequestContext) -> RequestContext:
    """Return `context` with an open session if its form holds the right token; else unchanged."""
    offered = context.form_value("token")
    opened = await console.sessions.login(offered)
    if opened is not None:
        context = replace(context, session=opened)
        await anyio.to_thread.run_sync(record, console, context, "log in", "console")
        return context
    if offered:
        client = context.request.client
        log.warning("A wrong token at the console", client=client.host if client else "unknown")
    return context


def log_in(_: ConsoleContext, context: RequestContext) -> Response:
    """Redirect to the next page if the form's token opened a session; else show the form again."""
    target = local_path(context.form_value("next"))
    if context.session.is_open:
        return redirect(target)
    return render(context, "login.html", {"next": target, "wrong": LOGIN_FAILED}, status=401)


def log_out(console: ConsoleContext, context: RequestContext) -> Response:
    """Close the session and delete the cookie."""
    console.sessions.logout(context.session)
    response = redirect("/login")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=is_secure(context))
    return response


def theme(_: ConsoleContext, context: RequestContext) -> Response:
    """Set the theme: light, dark, or that of the system.

    A cookie keeps it, so it needs no script and no page flashes.
    """
    chosen = context.form_value("theme")
    if chosen not in THEMES:
        raise HttpError(400, "There is no such theme.")
    response = redirect(local_path(context.form_value("next")))
    set_theme_cookie(response, chosen, secure=is_secure(context))
    return response
