"""The canonical form of a URL, which identifies an article, and the hashes that are made from it.

Two principles come before `RULES`. Canonicalising is idempotent, and URLs of pages that may differ never get the same
form. So parameters that some site might use to choose a page are kept (see `tracking_parameters.py`), and so
are the case of the path, double slashes and `;`. Aliases connect equal pages that the rules do not recognise.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import NamedTuple

from worker.enrichment.urls.hosts import canonical_host, registrable_domain
from worker.enrichment.urls.tracking_parameters import is_tracking, is_tracking_alone


class Rule(NamedTuple):
    """A rule, the reason why it is safe, and an example that a test checks."""

    name: str
    reason: str
    before: str
    after: str


RULES = (
    Rule("scheme", "news sites serve the same pages on both schemes, and the older generation wrote http",
         "http://example.com/a", "https://example.com/a"),
    Rule("port", "80 and 443 are what the schemes mean anyway; another port is another server, and keeps its scheme",
         "https://example.com:443/a", "https://example.com/a"),
    Rule("credentials", "they say who asks, not for what, and must not be stored",
         "https://user:word@example.com/a", "https://example.com/a"),
    Rule("host", "names are case-insensitive (RFC 4343); one spelling, ASCII, for internationalised ones (UTS 46)",
         "https://Bücher.Example.COM./a", "https://xn--bcher-kva.example.com/a"),
    Rule("mirror", "`www.` and `amp.` serve the pages of the bare host",
         "https://amp.example.com/a", "https://example.com/a"),
    Rule("amp cache", "a copy that names its original: /c/s/HOST/PATH on cdn.ampproject.org (v: viewer; s: https)",
         "https://amp-example-com.cdn.ampproject.org/c/s/amp.example.com/a?usqp=mq331A", "https://example.com/a"),
    Rule("amp viewer", "Google's search results show the same copies under /amp/s/",
         "https://www.google.com/amp/s/www.example.com/a", "https://example.com/a"),
    Rule("dot segments", "browsers resolve them before they ask (RFC 3986, 5.2.4)",
         "https://example.com/x/../a/./b", "https://example.com/a/b"),
    Rule("escapes", "unreserved characters mean the same escaped or not; escapes are upper case (RFC 3986, 6.2.2)",
         "https://example.com/%7ea/ü%c3%bc", "https://example.com/~a/%C3%BC%C3%BC"),
    Rule("trailing slash", "sites redirect from one to the other",
         "https://example.com/a/", "https://example.com/a"),
    Rule("tracking", "the parameters in tracking_parameters.py tell the publisher where a reader came from",
         "https://example.com/a?utm_source=x&id=7&fbclid=y", "https://example.com/a?id=7"),
    Rule("query order", "sorted by name; values of the same name keep their order, which can matter",
         "https://example.com/a?b=2&a=1&b=1", "https://example.com/a?a=1&b=2&b=1"),
    Rule("fragment", "a place in the page; but `#!…` and `#/…` are routes by which scripts choose a page",
         "https://example.com/a#part-2", "https://example.com/a"),
)  # fmt: skip

_CACHE_ONLY = ("usqp", "amp_js_v", "amp_gsa", "amp_ct", "amp_tf")
"""Parameters that the AMP viewer adds to the URL of a cached page. They are no part of the original URL."""

_URL = re.compile(r"(https?)://([^/?#\\]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.IGNORECASE | re.DOTALL)
_EDGES = "".join(map(chr, range(0x21)))
_LINE_BREAKS = dict.fromkeys(map(ord, "\t\r\n"))
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*)*/?")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}|%|[^A-Za-z0-9._~!$&'()*+,;=:@/?%-]+")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_AMP_COPY = re.compile(
    r"https://(?:(?:[a-z0-9-]+\.)*cdn\.ampproject\.org/[cv]|google\.[a-z]{2,3}(?:\.[a-z]{2})?/amp(?=/s/))"
    r"/(s/)?([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?:[/?#].*)?)"
)


# The documents of a story arrive together and repeat URLs, also in `related`. The cache uses at most 64 MB.
@lru_cache(maxsize=16_384)
def canonicalise(url: str) -> str:
    """Return the canonical form of an http or https URL by `RULES`. Any other text is returned unchanged."""
    form = _spell(url)
    while copy := _AMP_COPY.fullmatch(form):
        https, rest = copy.groups()
        if registrable_domain(rest) is None:
            break
        # Each iteration makes the URL shorter, so the loop ends.
        form = _spell(("https://" if https else "http://") + rest, drop=_CACHE_ONLY)
    return form


def _spell(url: str, drop: tuple[str, ...] = ()) -> str:
    match = _URL.fullmatch(url.strip(_EDGES))
    if match is None:
        return url
    scheme, authority, path, query, fragment = match.groups()
    host, port = _split_authority(authority)
    if not host:
        return url
    form = f"{scheme.lower()}://{host}:{port}" if port else f"https://{host}"
    path = _path(path)
    form += path
    if query and (query := _query(query, path, drop)):
        form += "?" + query
    if fragment and fragment[0] in "!/" and (fragment := _escape(fragment)) not in ("!", "/", "!/"):
        form += "#" + fragment
    return form


def _split_authority(authority: str) -> tuple[str, str]:
    authority = authority.rpartition("@")[2]
    if authority.startswith("["):
        host, _, port = authority.partition("]")
        host, port = host.lower() + "]" if host.isascii() else "", port.removeprefix(":")
    else:
        host, _, port = authority.partition(":")
        host = canonical_host(host)
    if port.isascii() and port.isdigit():
        port = port.lstrip("0")
    return host, "" if port in ("80", "443") else _escape(port)


def _path(path: str) -> str:
    if _PLAIN_PATH.fullmatch(path) is None:
        path = _escape(path.translate(_LINE_BREAKS).replace("\\", "/"))
        if "/." in path:
            path = _resolve_dots(path)
    return path.rstrip("/") or "/"


def _resolve_dots(path: str) -> str:
    chosen: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            if chosen:
                chosen.pop()
        elif segment != ".":
            chosen.append(segment)
    return "/" + "/".join(chosen)


def _query(query: str, path: str, drop: tuple[str, ...]) -> str:
    chosen = []
    for part in _escape(query.translate(_LINE_BREAKS)).split("&"):
        name = part.partition("=")[0]
        known = name.lower()
        if part and known not in drop and not is_tracking(known):
            chosen.append((name, part))
    if len(chosen) == 1 and is_tracking_alone(chosen[0][0].lower(), path):
        return ""
    chosen.sort(key=lambda pair: pair[0])
    return "&".join(part for _, part in chosen)


def _escape(text: str) -> str:
    return _ESCAPE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    text = match.group()
    if len(text) == 3 and text[0] == "%":
        character = chr(int(text[1:], 16))
        return character if character in _UNRESERVED else text.upper()
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=16_384)  # for the same reason as `canonicalise`
def url_hash(canonical: str) -> bytes:
    """Return the identity of the article with a canonical URL: the first 16 bytes of the URL's SHA-256."""
    return hash_of(canonical)


def hash_of(text: str) -> bytes:
    """Return the first 16 bytes of the SHA-256 of any text, without a cache. See `url_hash` for canonical URLs."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


@lru_cache(maxsize=1_024)  # a batch asks several times for each, also under the writer lock
def document_hash(source: str, key: str) -> bytes:
    """Return the identity of a document: a hash of its source and its key."""
    return _named("document", source, key)


def article_hash_for_key(source: str, key: str) -> bytes:
    """Return the identity of an article that has no URL."""
    return _named("article", source, key)


def reference_hash(taxonomy: str, subject: str) -> bytes:
    """Return the identity of the subject of a reference document. `subject`: a provider's domain or a topic's slug."""
    return _named(taxonomy, "", subject)


def _named(kind: str, source: str, key: str) -> bytes:
    # Canonical URLs contain no NUL, so these hashes and `url_hash` have different inputs. The length separates source
    # and key.
    return hash_of(f"{kind}\0{len(source)}\0{source}\0{key}")


__all__ = [
    "RULES",
    "article_hash_for_key",
    "canonicalise",
    "document_hash",
    "reference_hash",
    "registrable_domain",
    "url_hash",
]
