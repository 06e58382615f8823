"""Redact secrets from log lines and pages: credentials in URLs, passwords of the servers, values of `secured`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK = "…"

_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s'\"<>]*@")
# `password=…` in a URL's query or in a connection string. The value may be in quotes.
_PASSWORD = re.compile(r"""((?:password|passwd|pwd)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s&,;}\)]+)""", re.IGNORECASE)
_SECURED = re.compile(r"""(secured\\?["']?\s*[:=]\s*(?:[|>][+-]?\s*)?\\?["']?)[^\s"',}\\]{4,}""")
# The value of `secured` anywhere in a text: base64 of a ciphertext, `;`, base64 of 16 bytes. A match begins only where
# a run of base64 letters begins (look-behind) and does not backtrack (`{16,}+`). Trying each of 100,000 equal letters
# took 51 s.
_SECURED_VALUE = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{16,}+={0,2};[A-Za-z0-9+/]{22}(?:==)?(?![A-Za-z0-9+/=])")

_known: tuple[str, ...] = ()


def remember(urls: Iterable[str]) -> None:
    """Mask the passwords in `urls` (of the servers) in all later texts, also where a library writes them.

    The passwords of an earlier call are no longer masked.
    """
    global _known
    words: set[str] = set()
    for url in urls:
        for password in _passwords(url):
            words |= {password, unquote(password), quote(password, safe=""), quote_plus(password), repr(password)[1:-1]}
    # A password of one or two characters is ignored: it would mask url_parts of every line, and is no secret anyway.
    _known = tuple(sorted((word for word in words if len(word) > 2), key=len, reverse=True))


def _passwords(url: str) -> list[str]:
    try:
        url_parts = urlsplit(url)
        passwords = [url_parts.password or ""]
    except ValueError:
        return []
    return [*passwords, *re.findall(r"(?:^|&)password=([^&]*)", url_parts.query)]


def mask(text: str) -> str:
    """Return `text` with URL credentials, passwords and values of `secured` masked."""
    text = _CREDENTIALS.sub(f"{MASK}@", text)
    for word in _known:
        text = text.replace(word, MASK)
    return _SECURED.sub(rf"\1{MASK}", _PASSWORD.sub(rf"\1{MASK}", text))


def mask_page(text: str) -> str:
    """Like `mask`, for pages that show documents. It keeps texts such as `password: …`, which are content there."""
    text = _CREDENTIALS.sub(f"{MASK}@", text)
    for word in _known:
        text = text.replace(word, MASK)
    return _SECURED_VALUE.sub(MASK, text)


def secret_spans(text: str) -> list[tuple[int, int]]:
    """Return the (start, end) of each value that `mask` would mask in `text`. The spans may overlap."""
    spans = [(match.start(), match.end() - 1) for match in _CREDENTIALS.finditer(text)]
    for word in _known:
        spans += [(match.start(), match.end()) for match in re.finditer(re.escape(word), text)]
    spans += [match.span(2) for match in _PASSWORD.finditer(text) if "\n" not in match[0]]
    spans += [(match.end(1), match.end()) for match in _SECURED.finditer(text) if "\n" not in match[0]]
    return [(start, end) for start, end in spans if end > start]


def mask_value(value: Any) -> Any:
    """Return the value of a log field with all texts in it masked. Keys called `secured` are dropped."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask_value(name): mask_value(part) for name, part in value.items() if name != "secured"}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [mask_value(part) for part in value]
    return value
