"""Check whether a text is the URL of a page on the web, and say why if it is not."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote

# The form of nearly all URLs. Without backtracking (`++`) and without case folding it takes half the time.
_USUAL = re.compile(
    r"https?://(?:(?!-)[A-Za-z0-9-]{1,63}+(?<!-)\.){1,3}+[A-Za-z]{2,48}+(?::[1-9][0-9]{0,3})?+(?:[/?#][!-~]*+)?",
    re.ASCII,
)
_PARTS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>//)?(?P<authority>[^/?#\\]*)", re.ASCII)
# Spaces (also U+00A0, U+202F, U+2028 …) and characters without width. The joiners U+200C and U+200D belong to words.
_SPACES = re.compile(
    "[ \u00a0\u00ad\u061c\u1680\u180e\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]+"
)
_HOST_END = re.compile(r"//[^/?#]*[/?#]")
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_HOST = re.compile(r"[a-z0-9_.-]+", re.ASCII | re.IGNORECASE)


@lru_cache(maxsize=8192)  # the documents of a story repeat the same URLs
def is_usual(url: str) -> bool:
    """Return whether `url` has the usual form and is therefore valid. `url_fault` checks all others."""
    return _USUAL.fullmatch(url) is not None


def url_fault(url: str) -> str | None:
    """Return a sentence that says what is wrong with `url`, or None. The caller must bound its length."""
    if is_usual(url):
        return None
    for character in url:
        if character.isspace() or character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cs"):
            return "a URL holds no white space or control characters"
    parts = _PARTS.match(url)
    if parts is None or parts["scheme"].lower() not in ("http", "https"):
        return "only addresses that begin with http:// or https:// are kept"
    if parts["slashes"] is None:
        return "after http: or https: two slashes and a host belong"
    authority = parts["authority"]
    if "@" in authority:
        return "a URL must not carry a user name or password"
    if url[parts.end() :].startswith("\\"):
        return "a URL's host ends with a slash, not a backslash"
    return _authority_fault(authority)


def has_spaces(url: str) -> bool:
    """Return whether the URL contains spaces, or other characters that nobody sees and `escape_spaces` escapes."""
    return _SPACES.search(url) is not None


def has_spaces_in_host(url: str) -> bool:
    """Return whether the host contains such characters. In a valid URL a host loses them: IDNA maps them to nothing."""
    host_end = _HOST_END.search(url)
    return has_spaces(url[: host_end.end()] if host_end else url)


def escape_spaces(url: str) -> str:
    """Return `url` with the spaces and invisible characters after the host percent-encoded, as browsers do.

    Real crawlers send such URLs.
    """
    host_end = _HOST_END.search(url)
    start = host_end.end() if host_end else len(url)
    return url[:start] + _SPACES.sub(lambda space: quote(space[0]), url[start:])


def _authority_fault(authority: str) -> str | None:
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        try:
            if "%" in IPv6Address(host).compressed:
                return "an address with a zone means nothing to others"
        except AddressValueError:
            return "this is not an IPv6 address"
        if not bracket or (rest and not rest.startswith(":")):
            return "this is not an IPv6 address"
        port = rest[1:]
    else:
        host, _, port = authority.partition(":")
        fault = _host_fault(host)
        if fault is not None:
            return fault
    if port and not (_PORT.fullmatch(port) and 0 < int(port) < 65536):
        return "a port is a number from 1 to 65535"
    return None


def _host_fault(host: str) -> str | None:
    if not host:
        return "the URL names no host"
    bare = host.removesuffix(".")
    if len(bare) > 253 or any(not 0 < len(label) <= 63 for label in bare.split(".")):
        return "this is not a host's name"
    if not bare.isascii():
        try:
            bare = bare.encode("idna").decode("ascii")
        except UnicodeError:
            return "this is not a host's name"
    if not _HOST.fullmatch(bare) or any(label[0] == "-" or label[-1] == "-" for label in bare.split(".")):
        return "this is not a host's name"
    last = bare.rpartition(".")[2]
    if last.isdigit():
        try:
            IPv4Address(bare)
        except AddressValueError:
            return "this is not a host's name"
        return None
    if "." not in bare:
        return "the host is not one of the public web: its name has no dot"
    return None
