"""Host names: the canonical spelling of a host, and its registrable domain.

The Public Suffix List is the copy in publicsuffixlist. It is never downloaded, because the same document must give the
same article on every machine, with or without a network.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from urllib.parse import quote

import idna
from publicsuffixlist import PublicSuffixList

_suffixes = PublicSuffixList()  # with private ones: two blogs on github.io are two providers
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_AUTHORITY_END = re.compile(r"[/?#\\]")
_PORT = re.compile(r":[0-9]*$")
_LABELS = re.compile(r"[^\x00-\x20!-,/:-@\[-^`{-\x7f]+")
"""Characters of a host: letters and digits of any script, hyphen, dot and underscore (real hosts have it)."""

_LONGEST = 253  # characters of a name that resolves (RFC 1035); longer names are not processed, to bound the time

MIRRORS = ("www.", "amp.")
"""Host prefixes. A publisher serves the same pages with and without them."""


@lru_cache(maxsize=16_384)
def canonical_host(host: str) -> str:
    """Return `host` (given without a port) in lower case and punycode, without a final dot, `www.` and `amp.`.

    A prefix is kept if the rest has no registrable domain: `www.gov.uk` and `amp.dev` stay as they are.
    """
    host = to_ascii(host)
    while host.startswith(MIRRORS) and len(host) <= _LONGEST:
        rest = host[4:]
        if registrable_domain(rest) is None:
            break
        host = rest
    return host


def to_ascii(host: str) -> str:
    """Return `host` in lower case and punycode, by the UTS 46 mapping that browsers use. Never raises.

    The validity rules of IDNA 2008 are not applied, because they refuse names that resolve (underscores, emoji).
    """
    if not host.isascii():
        host = _to_punycode(host) or quote(host, safe="", errors="surrogatepass")
    return host.lower().rstrip(".")


def _to_punycode(host: str) -> str | None:
    if len(host) > _LONGEST:
        return None
    try:
        labels = idna.uts46_remap(host, std3_rules=False).split(".")
        host = ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)
    except (idna.IDNAError, UnicodeError):
        return None
    return host if _LABELS.fullmatch(host) else None  # the mapping can produce a slash or a space


@lru_cache(maxsize=16_384)
def registrable_domain(host_or_url: str) -> str | None:
    """Return the registrable domain (`news.bbc.co.uk` → `bbc.co.uk`). None for an IP address or a name without a dot.

    Private suffixes count as suffixes (`a.github.io` is a domain). A private suffix itself counts as the domain of its
    operator. A top-level domain that is not in the list is a suffix, by the list's default rule `*`
    (https://github.com/publicsuffix/list/wiki/Format).
    """
    host = _host_of(host_or_url)
    if "." not in host or len(host) > _LONGEST or _LABELS.fullmatch(host) is None:
        return None
    if host.rpartition(".")[2].isdigit():
        return None  # an IP address, or no name at all
    host = host.rpartition("..")[2].removeprefix(".")  # the list knows no name with an empty label
    return _suffixes.privatesuffix(host) or _icann_suffixes().privatesuffix(host)


@cache
def _icann_suffixes() -> PublicSuffixList:
    """Return the list without private suffixes. It is needed for a host that is a suffix itself, which is rare."""
    return PublicSuffixList(only_icann=True)


def _host_of(text: str) -> str:
    text = text.strip()
    if match := _SCHEME.match(text):
        after = text[match.end() :]
        if after.startswith("//") or not after[:1].isdigit():  # `example.com:8080` is a host with a port
            text = after
    authority = _AUTHORITY_END.split(text.lstrip("/\\"), maxsplit=1)[0]
    return to_ascii(_PORT.sub("", authority.rpartition("@")[2]))
