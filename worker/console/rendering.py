"""Renders pages from templates. Every value is escaped, and credentials and `secured` values are masked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from schemas.codes import CODES
from schemas.receipt import Outcome
from worker.console.request_context import RequestContext
from worker.telemetry.durations import duration_text
from worker.telemetry.redaction import mask_page
from worker.telemetry.sizes import size_text

THEMES = ("auto", "light", "dark")
_THEME_COOKIE = "copydesk_theme"
_NARROW_SPACE = "\u202f"
_LONG_WORD = re.compile(r"(\S{25,})")  # shorter ones have room in a cell of a table
_RUN = re.compile(r"[^/_.,:;?&=@\-\s]{24}|[^/_.,:;?&=@\-\s]*(?:[/_.,:;?&=@\-\s]+|\Z)")
_CONTROL = dict.fromkeys([*range(0x20), 0x7F, *range(0x80, 0xA0)], " ")
"""Control characters, which no browser shows."""


def _redacted(value: object) -> object:
    """Mask a string that is not our own HTML. It is the last step of every `{{ … }}` before escaping."""
    if value is None:
        return ""
    return mask_page(value) if isinstance(value, str) and not isinstance(value, Markup) else value


NO_VALUE = Markup('<span class="no-value">–</span>')
"""A dash. On a phone a cell of a table that has nothing else is not shown."""


def number(value: float | None) -> str:
    """Format a number as `12,345`; a dash for None."""
    return NO_VALUE if value is None else f"{value:,}"


def counted(count: float, noun: str, plural: str = "") -> str:
    """Format a number with its noun: `1 document`, `2,000 documents`."""
    return f"{number(count)} {noun if count == 1 else plural or noun + 's'}"


def share(part: float) -> str:
    """Format a share as `12.5 %`."""
    return f"{part:.1%}".replace("%", f"{_NARROW_SPACE}%")


def age(seconds: float | None) -> str:
    """Format a time span; a dash for None."""
    return NO_VALUE if seconds is None else duration_text(seconds).replace(" ", _NARROW_SPACE)


def size(count: float | None) -> str:
    """Format bytes in binary units; a dash for None."""
    return NO_VALUE if count is None else size_text(count).replace(" ", _NARROW_SPACE)


def when(moment: datetime | str | float | None, form: str = "%Y-%m-%d %H:%M") -> Markup:
    """Return a `<time>` element in UTC; a dash for no time."""
    if moment is None or moment == "":
        return NO_VALUE
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    elif isinstance(moment, (int, float)):
        moment = datetime.fromtimestamp(moment, UTC)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    stamp, shown = moment.isoformat(timespec="seconds"), moment.strftime(form)
    return Markup('<time datetime="{}">{}</time>').format(stamp, shown)


def clip(text: str | None, limit: int) -> str:
    """Return at most the first `limit` characters, without control characters."""
    text = (text or "").translate(_CONTROL)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def breakable(text: str | None) -> Markup:
    """Return `text` with places where a line may break in long words: after punctuation, and after 24 characters.

    A browser that may break anywhere breaks words in the middle, and one that may not makes tables too wide.
    """
    parts = _LONG_WORD.split(mask_page(text or ""))
    return Markup("").join(
        Markup("<wbr>").join(_RUN.findall(part)) if number % 2 else part for number, part in enumerate(parts)
    )


def link_url(url: str | None) -> str | None:
    """Return `url` if it is safe as a link: only http and https, never `javascript:` and the like; else None."""
    if not url or any(character <= " " for character in url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def path(*parts: object, **query: object) -> str:
    """Return a path of this console; empty query parameters are left out."""
    where = "/" + "/".join(quote(str(part), safe="") for part in parts)
    parameters = {name: value for name, value in query.items() if value not in (None, "", False)}
    return f"{where}?{urlencode(parameters)}" if parameters else where


def as_text(value: object) -> str:
    """Format a detail of a document: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _remedy(code: str) -> str:
    return CODES[code].remedy if code in CODES else ""


_HTMX = {
    # Allow nothing that the content security policy forbids: no inline style, no eval, no script in swapped content.
    "includeIndicatorStyles": False, "allowEval": False, "allowScriptTags": False, "selfRequestsOnly": True,
    "historyCacheSize": 0, "refreshOnHistoryMiss": True,
    # Show the pages of errors too, such as 503 (server unreachable) and 422 (refused).
    "responseHandling": [{"code": "204", "swap": False}, {"code": "...", "swap": True}],
}  # fmt: skip

environment = Environment(
    loader=PackageLoader("worker.console", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_redacted,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_FILTERS: dict[str, Callable[..., object]] = {
    "number": number,
    "counted": counted,
    "share": share,
    "age": age,
    "size": size,
    "when": when,
    "clip": clip,
    "breakable": breakable,
    "link_url": link_url,
    "remedy": _remedy,
    "as_text": as_text,
}
environment.filters.update(_FILTERS)
environment.globals.update(
    path=path, NO_VALUE=NO_VALUE, OUTCOMES=[str(outcome) for outcome in Outcome], HTMX=json.dumps(_HTMX), THEMES=THEMES
)


def compile_all() -> None:
    """Compile every template, so that no request waits for it."""
    for name in environment.list_templates():
        environment.get_template(name)


def theme_of(context: RequestContext) -> str:
    """Return the theme that the reader chose; `auto` follows the system."""
    chosen = context.request.cookies.get(_THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"


def set_theme_cookie(response: Response, theme: str, *, secure: bool) -> None:
    """Store the choice in a cookie for a year."""
    response.set_cookie(_THEME_COOKIE, theme, max_age=365 * 86_400, httponly=True, samesite="strict", secure=secure)


def render(
    context: RequestContext, template: str, values: Mapping[str, object] | None = None, *, status: int = 200
) -> HTMLResponse:
    """Render a page, or a part of one."""
    text = environment.get_template(template).render(
        here=context.path,
        address=context.address,
        address_of_csv=context.address_with(csv="1"),
        address_held=context.address_with(hold="" if context.query("hold") else "1"),
        csrf=context.session.csrf,
        is_open=context.session.is_open,
        may_act=context.session.may_act,
        user=context.session.user,
        theme=theme_of(context),
        can_log_out=context.request.app.state.console.sessions.needs_token and context.session.is_open,
        **(values or {}),
    )
    # A document may contain a lone surrogate, which cannot be encoded as UTF-8.
    return HTMLResponse(text.encode("utf-8", "replace"), status_code=status)


def message(
    context: RequestContext, title: str, sentence: str, *, status: int, hints: tuple[str, ...] = ()
) -> HTMLResponse:
    """Render a page with one message. After a failure in the editor it contains the user's text again."""
    is_page = context.request.method in ("GET", "HEAD")
    if context.is_htmx and not is_page:  # the message replaces a part of a page
        return render(context, "notice.html", {"title": title, "sentence": sentence}, status=status)
    if context.from_editor and "text" in context.form:
        # Escaped here, so that it is not masked: it must return as it was written.
        action = context.path.rpartition("/")[0]
        unsent = {"action": action, "text": escape(context.form["text"]), "version": context.form.get("version", "")}
        return render(context, "unsent.html", {"title": title, "sentence": sentence, **unsent}, status=status)
    values = {"title": title, "sentence": sentence, "hints": hints, "is_page": is_page and status != 404}
    return render(context, "message.html", {**values, "retry": is_page and status == 503}, status=status)


def redirect(target: str) -> RedirectResponse:
    """Redirect to another page by GET (303), after an action."""
    return RedirectResponse(target, status_code=303)


def local_path(target: str) -> str:
    """Return `target` if it is a path of this console, else `/`: a form must not redirect to another host."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
