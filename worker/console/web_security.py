"""Checks before every page: the host name, the origin of a form, and the security headers of responses.

It is an ASGI middleware, so no page can be added without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = "; ".join([
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
    "connect-src 'self'",  # requests of HTMX
    "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
])  # fmt: skip
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
_LONGEST_URL = 8192  # bytes of path and query


@dataclass(frozen=True, slots=True)
class WebSecurity:
    """`names`: the host names it answers to, lower case, without port. None: all, because a token protects it.

    A page of another site whose name resolves to this machine (DNS rebinding) sends its own name in `Host`: refused.
    """

    app: ASGIApp
    names: frozenset[str] | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    out[name] = value
                if "cache-control" not in out:
                    out["cache-control"] = "no-store"
            await send(message)

        await (self._refusal(scope, headers) or self.app)(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if self.names is not None and host_name(headers.get("host", "")) not in self.names:
            return PlainTextResponse("This console does not answer to that name.\n", 421)
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"") > _LONGEST_URL:
            return PlainTextResponse("The address is too long.\n", 414)
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("Only GET and POST.\n", 405, {"allow": "GET, HEAD, POST"})
        if scope["method"] == "POST" and not _is_from_here(headers):
            return PlainTextResponse("A form of another page was refused.\n", 403)
        return None


def _is_from_here(headers: Headers) -> bool:
    """Return False if the browser says that a form came from another site, or from another port of this host.

    With `no-referrer` a form's `Origin` is `null`, and without TLS or loopback browsers send no `Sec-Fetch-Site`. Then
    only the CSRF token of the form decides.
    """
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = headers.get("origin", "null")
    return origin == "null" or _netloc(origin) == headers.get("host", "").lower()


def _netloc(origin: str) -> str:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""


def host_name(host: str) -> str:
    """`[::1]:8600` → `::1`, `localhost:8600` → `localhost`."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
