"""Host names: one spelling for each, and the domain that somebody registered.

The Public Suffix List is the one that tldextract bundles. It is never downloaded: the same document must give the same
article on every machine, with and without a network.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote

import idna
import tldextract

_extract = tldextract.TLDExtract(
    suffix_list_urls=(),  # only the bundled list
    cache_dir=None,
    include_psl_private_domains=True,  # two blogs on github.io are two providers
)
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_AUTHORITY_END = re.compile(r"[/?#\\]")
_PORT = re.compile(r":[0-9]*$")
_LABELS = re.compile(r"[^\x00-\x20!-,/:-@\[-^`{-\x7f]+")
"""Characters a host is made of: letters and digits of any script, hyphen, dot and (met in the wild) underscore."""

_LONGEST = 253  # characters of a name that resolves (RFC 1035); beyond it nothing that costs more than a glance is done

MIRRORS = ("www.", "amp.")
"""Host prefixes under which a publisher serves the same pages as without them."""


@lru_cache(maxsize=16_384)
def canonical_host(host: str) -> str:
    """`host` without its port, in lower case and punycode, without a final dot and without `www.` and `amp.`.

    A prefix stays where nothing registrable would be left: `www.gov.uk` and `amp.dev` are the names themselves.
    """
    host = to_ascii(host)
    while host.startswith(MIRRORS) and len(host) <= _LONGEST:
        rest = host[4:]
        if registrable_domain(rest) is None:
            break
        host = rest
    return host


def to_ascii(host: str) -> str:
    """Lower case and punycode, by the mapping of UTS 46 that browsers use; never raises.

    Only the mapping: IDNA 2008 would refuse names that resolve all the same (underscores, emoji).
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
    return host if _LABELS.fullmatch(host) else None  # the mapping can bring forth a slash or a space


@lru_cache(maxsize=16_384)
def registrable_domain(host_or_url: str) -> str | None:
    """The domain somebody registered (`news.bbc.co.uk` → `bbc.co.uk`), or None for an IP address or a bare name.

    Private suffixes count (`a.github.io` is one site); a private suffix itself counts as the domain of its operator.
    A top-level domain that the list does not know is a suffix: the list's own default rule, `*`
    (https://github.com/publicsuffix/list/wiki/Format).
    """
    host = _host_of(host_or_url)
    if "." not in host or len(host) > _LONGEST or _LABELS.fullmatch(host) is None:
        return None
    found = _extract(host)
    if found.suffix:
        if domain := found.top_domain_under_public_suffix:
            return domain
        return _extract(host, include_psl_private_domains=False).top_domain_under_public_suffix or None
    labels = host.rsplit(".", 2)
    if found.ipv4 or found.ipv6 or not all(labels) or labels[-1].isdigit():
        return None
    return ".".join(labels[-2:])


def _host_of(text: str) -> str:
    text = text.strip()
    if match := _SCHEME.match(text):
        after = text[match.end() :]
        if after.startswith("//") or not after[:1].isdigit():  # `example.com:8080` is a host with a port
            text = after
    authority = _AUTHORITY_END.split(text.lstrip("/\\"), maxsplit=1)[0]
    return to_ascii(_PORT.sub("", authority.rpartition("@")[2]))
