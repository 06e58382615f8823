"""The console as an ASGI application: every page's address, and what becomes of what goes wrong."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import anyio.to_thread
import redis
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.console import articles, assets, bulk, dead, edit, lanes, login, overview, search, sources, stories, tail
from worker.console.asked import FORM_BYTES, Asked, Refused, form_of
from worker.console.desk import Desk
from worker.console.guard import Guard
from worker.console.page import away, compile_all, message, path
from worker.console.sessions import COOKIE
from worker.observe.logs import get_logger, mask
from worker.operate.servers import database_health
from worker.store.engine import is_transient

log = get_logger("console")

Handler = Callable[[Desk, Asked], Response]

_THREADS = 4  # as many connections as an engine's pool has
_OPEN_TO_ALL = ("/login", "/theme")


def build(desk: Desk, *, names: frozenset[str] | None, secure: bool = False) -> Guard:
    """The application. `names`: hosts it answers to, None for all; `secure`: reached by TLS alone, so cookies are too."""
    form = FORM_BYTES
    # In a form each byte of a document may take three characters.
    document = FORM_BYTES + 3 * desk.config.max_document_bytes
    compile_all()
    routes = [
        Route("/static/{name}", assets.page, methods=["GET"]),
        _route("/", overview.page),
        _route("/tail", tail.page),
        _route("/search", search.page),
        _route("/articles/{number:int}", articles.page),
        _route("/stories", stories.page),
        _route("/stories/{number:int}", stories.one),
        _route("/dead", dead.causes),
        _route("/dead/letters", dead.letters),
        _route("/dead/jobs", bulk.start, form),
        _route("/dead/jobs/{job}", bulk.page),
        _route("/dead/jobs/{job}/stop", bulk.stop, form),
        _route("/dead/discard", bulk.discard, form),
        _route("/dead/{number:int}", edit.page),
        _route("/dead/{number:int}/check", edit.check, document),
        _route("/dead/{number:int}/replay", edit.replay, document),
        _route("/dead/{number:int}/discard", edit.discard, form),
        _route("/lanes", lanes.page),
        _route("/lanes/{lane}/pause", lanes.pause, form),
        _route("/lanes/{lane}/resume", lanes.resume, form),
        _route("/sources", sources.page),
        _route("/login", login.page),
        _route("/login", login.enter, form),
        _route("/logout", login.leave, form),
        _route("/theme", login.theme, form),
        _route("/{rest:path}", _nothing),
    ]

    @contextlib.asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        desk.warm()
        yield
        desk.close()

    app = Starlette(routes=routes, lifespan=life)
    app.state.desk, app.state.secure = desk, secure
    return Guard(app, names)


def _route(address: str, handler: Handler, form: int | None = None) -> Route:
    """A page, or with `form` (most bytes of it) an action."""

    async def endpoint(request: Request) -> Response:
        desk: Desk = request.app.state.desk
        known = desk.sessions.of(request.cookies.get(COOKIE))
        asked = Asked(request, known or desk.sessions.new())
        try:
            if not asked.session.is_open and request.url.path not in _OPEN_TO_ALL:
                return _to_login(asked)
            if form is not None:
                asked = Asked(request, asked.session, await form_of(request, form))
                _check_form(desk, asked)
            response = await run_in_threadpool(_answer, handler, desk, asked)
        except Refused as refused:
            title = "Not found" if refused.status == 404 else "That did not work"
            response = message(asked, title, str(refused), status=refused.status)
        if known is None and COOKIE not in response.headers.get("set-cookie", ""):
            login.keep_session(response, asked)
        return response

    return Route(address, endpoint, methods=["GET"] if form is None else ["POST"])


def _check_form(desk: Desk, asked: Asked) -> None:
    if not desk.sessions.is_form_of(asked.session, asked.sent("csrf")):
        raise Refused(403, "This form is of an older page or of another one. Load the page again, then send it.")


def _answer(handler: Handler, desk: Desk, asked: Asked) -> Response:
    """A page, or one that says which server is away."""
    try:
        return handler(desk, asked)
    except (redis.RedisError, OSError) as error:
        return _unreachable(asked, "Redis", mask(str(error)), "COPYDESK_REDIS_URL; without it: copydesk up")
    except SQLAlchemyError as error:
        health = database_health(desk.engine)
        if health["ok"] and health["schema"] != health["needs_schema"]:
            sentence = f"Its schema is {health['schema'] or 'empty'}, and {health['needs_schema']} is needed."
            return _unreachable(
                asked, "The store", sentence, "copydesk db upgrade; with nothing configured: copydesk up"
            )
        text = " ".join(mask(str(getattr(error, "orig", None) or error)).split())
        if health["ok"] and not is_transient(error):
            log.exception("A page failed", page=asked.request.url.path)
            return message(asked, "A mistake of ours", f"The store refused a question: {text[:300]}", status=500)
        return _unreachable(asked, "The store", health.get("error") or text, "COPYDESK_DATABASE_URL")
    except Refused:
        raise
    except Exception:
        log.exception("A page failed", page=asked.request.url.path)
        return message(asked, "A mistake of ours", "This page failed; the console's log says why.", status=500)


def _unreachable(asked: Asked, server: str, error: str, hint: str) -> Response:
    return message(asked, f"{server} cannot be used", error[:500], status=503, hints=(hint,))


def _to_login(asked: Asked) -> Response:
    request = asked.request
    target = path("login", next=request.url.path + (f"?{request.url.query}" if request.url.query else ""))
    if asked.is_htmx:
        return Response(status_code=401, headers={"hx-redirect": "/login"})
    return away(target if request.method in ("GET", "HEAD") else "/login")


def _nothing(_: Desk, asked: Asked) -> Response:
    raise Refused(404, "There is no such page.")
