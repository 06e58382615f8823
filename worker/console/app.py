"""The console as an ASGI application: the routes and the handling of errors."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import anyio
import anyio.to_thread
import redis
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.console import assets
from worker.console.access.sessions import COOKIE
from worker.console.context import ConsoleContext
from worker.console.csv_tables import csv_of
from worker.console.pages import (
    actions,
    articles,
    lanes,
    login,
    losses,
    overview,
    search,
    sources,
    stories,
    tail,
    times,
    waiting,
    workers,
)
from worker.console.pages.dead import bulk, edit, lists
from worker.console.rendering import compile_all, message, path, redirect
from worker.console.request_context import FORM_BYTES, HttpError, RequestContext, body_of, form_of
from worker.console.web_security import WebSecurity
from worker.monitoring.servers.server_state import database_status
from worker.monitoring.status import DatabaseStatus
from worker.store.engine import driver_error, is_locked, is_transient
from worker.telemetry.logs import get_logger, mask

log = get_logger("console")

Handler = Callable[[ConsoleContext, RequestContext], Response]

_THREADS_OF_A_PAGE = 2
_MAX_ANONYMOUS = 8
_WARM_SECONDS = 2.0
"""How long the start waits for the servers."""
_OPEN_TO_ALL = ("/login", "/theme")
_OPEN_TO_ALL_ROLES = (*_OPEN_TO_ALL, "/logout")
_BUG = "A bug in Copydesk"


class _Number(Convertor[str]):
    """A number in a path. Starlette's convertor fails on thousands of digits, which `int` refuses to parse."""

    regex = "[0-9]{1,19}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("number", _Number())


def build(
    console: ConsoleContext,
    *,
    names: frozenset[str] | None,
    secure: bool = False,
    announce: Callable[[], None] = lambda: None,
) -> WebSecurity:
    """Build the application.

    `names`: the host names it answers to, None for all. `secure`: served by TLS, so cookies are too. `announce` is called
    when the first page is ready.
    """
    form = FORM_BYTES
    # In a form each byte of a document may take three characters.
    document = FORM_BYTES + 3 * console.config.max_document_bytes
    compile_all()
    routes = [
        Route("/static/{name}", assets.page, methods=["GET"]),
        _route("/", overview.page),
        _route("/tail", tail.page),
        _route("/search", search.page),
        _route("/articles/{number:number}", articles.page),
        _route("/stories", stories.page),
        _route("/stories/{number:number}", stories.one),
        _route("/dead", lists.causes),
        _route("/dead/letters", lists.list_dead_letters),
        _route("/dead/jobs", bulk.start, form),
        _route("/dead/jobs/{job}", bulk.page),
        _route("/dead/jobs/{job}/stop", bulk.stop, form),
        _route("/dead/discard", bulk.discard, form),
        _route("/dead/{number:number}", edit.page, editor=True),
        _route("/dead/{number:number}/check", edit.check, document, editor=True),
        _route("/dead/{number:number}/replay", edit.replay, document, editor=True),
        _route("/dead/{number:number}/discard", edit.discard, form),
        _route("/times", times.page),
        _route("/lanes", lanes.page),
        _route("/lanes/{lane}/entries", waiting.page),
        _route("/lanes/{lane}/entries/{entry}", waiting.one),
        _route("/workers", workers.page),
        _route("/workers/stop", workers.confirm_stop),
        _route("/workers/stop", workers.stop, form),
        _route("/actions", actions.page),
        _route("/lanes/{lane}/pause", lanes.pause, form),
        _route("/lanes/{lane}/resume", lanes.resume, form),
        _route("/lanes/{lane}/sources/pause", lanes.pause_one_source, form),
        _route("/lanes/{lane}/sources/resume", lanes.resume_one_source, form),
        _route("/sources", sources.page),
        _route("/sources/of", sources.one),
        _route("/sources/pause", lanes.pause_one_source, form),
        _route("/sources/losses", losses.page),
        _route("/login", login.page),
        _route("/login", login.log_in, form),
        _route("/logout", login.log_out, form),
        _route("/theme", login.theme, form),
        _route("/{rest:path}", _not_found),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await anyio.to_thread.run_sync(_warm, console, app)
        await anyio.to_thread.run_sync(announce)
        yield
        console.close()

    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.console, app.state.secure = console, secure
    return WebSecurity(app, names)


def _warm(console: ConsoleContext, app: Starlette) -> None:
    """Load and render the first page once. Without that its first request takes ten times as long as the others."""
    console.warm(_WARM_SECONDS)
    request = Request({"type": "http", "app": app, "method": "GET", "path": "/", "query_string": b"", "headers": []})
    _answer(overview.page, console, RequestContext(request, console.sessions.new()))


def _route(address: str, handler: Handler, form: int | None = None, *, editor: bool = False) -> Route:
    """Build a route: a page, or with `form` (its size limit in bytes) an action.

    `editor`: the page may hold a text that a user has written, so an error must not lose it.
    """

    @functools.cache
    def threads() -> anyio.CapacityLimiter:
        # Each route has its own limiter, so that a slow page does not block others.
        return anyio.CapacityLimiter(_THREADS_OF_A_PAGE)

    async def endpoint(request: Request) -> Response:
        console: ConsoleContext = request.app.state.console
        known = console.sessions.of(request.cookies.get(COOKIE))
        context = RequestContext(request, known or console.sessions.new(), from_editor=editor and form is not None)
        try:
            if not context.session.is_open and context.path not in _OPEN_TO_ALL and not context.from_editor:
                return _to_login(context, stay=editor)
            if form is not None:
                async with contextlib.nullcontext() if context.session.is_open else _anonymous():
                    body = await body_of(request, form)
                    sent, ticked = await anyio.to_thread.run_sync(form_of, body, limiter=threads())
                context = replace(context, form=sent, ticked=ticked)
                context = await _admitted(console, context)
            response = await anyio.to_thread.run_sync(_answer, handler, console, context, limiter=threads())
        except HttpError as error:
            title = "Not found" if error.status == 404 else "That did not work"
            response = message(context, title, str(error), status=error.status)
        if (known is None or context.session.id != known.id) and COOKIE not in response.headers.get("set-cookie", ""):
            login.set_session_cookie(response, context)
        return response

    return Route(address, endpoint, methods=["GET"] if form is None else ["POST"])


@functools.cache
def _anonymous() -> anyio.CapacityLimiter:
    """Limit of concurrent form reads without a session, since each form may hold a document."""
    return anyio.CapacityLimiter(_MAX_ANONYMOUS)


async def _admitted(console: ConsoleContext, context: RequestContext) -> RequestContext:
    """Return the context of a form that may be answered: of an open session, or with a token in it, by an operator.

    Raises HttpError.
    """
    is_open_to_all = context.path in _OPEN_TO_ALL
    if not context.session.is_open and not is_open_to_all and "token" not in context.form:
        raise HttpError(
            401,
            "Your session has ended, so nothing was sent. Press “Replay it”: it asks for the token and keeps your text.",
        )
    if not console.sessions.is_form_of(context.session, context.form_value("csrf")):
        raise HttpError(403, "This form belongs to an older page. Load the page again, then send the form.")
    if not context.session.is_open and "token" in context.form:
        context = await login.with_token(console, context)
        if not context.session.is_open and not is_open_to_all:
            raise HttpError(401, login.LOGIN_FAILED)
    if not context.session.may_act and context.path not in _OPEN_TO_ALL_ROLES:
        raise HttpError(
            403, f"{context.session.user} may look at everything but not act: the role is viewer. Nothing was changed."
        )
    return context


def _answer(handler: Handler, console: ConsoleContext, context: RequestContext) -> Response:
    """Return the handler's response, or a page that names the server that cannot be reached."""
    try:
        response = handler(console, context)
        return _as_csv(context, response) if context.query("csv") and response.status_code == 200 else response
    except (redis.RedisError, OSError) as error:
        return _unreachable(context, "Redis", mask(str(error)), "COPYDESK_REDIS_URL; without it: copydesk up")
    except SQLAlchemyError as error:
        return _store_failed(console, context, error)
    except HttpError:
        raise
    except Exception:
        log.exception("A page failed", page=context.path)
        return message(context, _BUG, "This page failed. The console's log has the error.", status=500)


def _as_csv(context: RequestContext, response: Response) -> Response:
    name = context.path.strip("/").replace("/", "-") or "overview"
    plain = "".join(character for character in name if character.isalnum() or character in "-_")
    disposition = f'attachment; filename="copydesk-{plain.encode("ascii", "ignore").decode()}.csv"'
    text = csv_of(bytes(response.body).decode("utf-8"))
    return Response(text, media_type="text/csv; charset=utf-8", headers={"content-disposition": disposition})


def _store_failed(console: ConsoleContext, context: RequestContext, error: SQLAlchemyError) -> Response:
    if is_locked(error):
        seconds = f"{console.config.statement_seconds:g}"
        sentence = f"Others wrote to it for longer than {seconds} seconds, so nothing was changed. Send it again."
        return message(context, "The store is busy", sentence, status=503)
    database = database_status(console.engine)
    text = " ".join(mask(str(driver_error(error))).split())
    if not isinstance(database, DatabaseStatus):
        return _unreachable(context, "The store", database.error, "COPYDESK_DATABASE_URL")
    if not database.has_needed_schema:
        sentence = f"Its schema is {database.schema or 'empty'}, and {database.needs_schema} is needed."
        return _unreachable(context, "The store", sentence, "copydesk db upgrade; with nothing configured: copydesk up")
    if is_transient(error):
        return _unreachable(context, "The store", text, "COPYDESK_DATABASE_URL")
    log.exception("A page failed", page=context.path)
    return message(context, _BUG, f"The store refused a query: {text[:300]}", status=500)


def _unreachable(context: RequestContext, server: str, error: str, hint: str) -> Response:
    return message(context, f"{server} cannot be used", error[:500], status=503, hints=(hint,))


def _to_login(context: RequestContext, *, stay: bool) -> Response:
    """Redirect to the login.

    `stay`: keep the page as it is when only a part of it is requested, because it may hold a text.
    """
    if context.is_htmx:
        return Response(status_code=401, headers={"hx-reswap": "none"} if stay else {"hx-redirect": "/login"})
    return redirect(path("login", next=context.address) if context.request.method in ("GET", "HEAD") else "/login")


def _not_found(_: ConsoleContext, context: RequestContext) -> Response:
    raise HttpError(404, "There is no such page.")
