"""Clean titles and excerpts: resolve entities, normalise white space, remove the provider's name at the end."""

from __future__ import annotations

import html
import re
from functools import lru_cache

from worker.documents.characters import clean_text
from worker.enrichment.urls.hosts import registrable_domain

_ENTITY = re.compile(r"&(?:amp;(?!lt;|gt;))?(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
"""A character reference. The semicolon is required, because otherwise `AT&T` and `?a=1&copy=2` would be changed.

Real excerpts contain references that are escaped twice (`&amp;quot;`); these are resolved completely. But `&amp;lt;` is
how a text writes the characters `&lt;`, so it becomes only that.
"""
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_SEPARATOR = re.compile(r" (?:[|\-–—]|::) ")  # for text after `clean`, where all white space is plain spaces
_LONGEST_SUFFIX = 120  # characters; no name of a provider is longer
_MOST_SUFFIXES = 3  # a title can end in both name and domain; both limits keep the time linear for a hostile title
_NOT_WORD = re.compile(r"[\W_]+")


def clean(text: str) -> str:
    """Return the text with character references resolved, runs of white space as one space, and stripped ends."""
    if "&" in text:
        text = clean_text(_ENTITY.sub(_resolve, text))[0]  # a reference can be a combining mark
    if text.isprintable() and "  " not in text:
        return text.strip(" ")  # a printable text has no white space but spaces, and no invisible characters
    text = " ".join(text.split())
    if text and (text[0] in _INVISIBLE or text[-1] in _INVISIBLE):
        text = text.strip(_INVISIBLE + " ")
    return text


def _resolve(match: re.Match[str]) -> str:
    return html.unescape(f"&{match[1]};")


def clean_or_none(text: str | None) -> str | None:
    """Return the result of `clean`, or None if it is empty."""
    return (clean(text) or None) if text else None


def strip_provider_suffix(title: str, provider_name: str | None, domain: str | None) -> str:
    """Return `title` without ` | X` (or another separator) at its end, where X is the provider's name or domain.

    `title` must be the result of `clean`. The result is never empty. Other endings stay, because only about 70 of 977
    real titles with a separator end in the name of their provider.
    """
    for _ in range(_MOST_SUFFIXES):
        head = _without_tail(title, provider_name, domain)
        if head is None:
            break
        title = head
    return title


def _without_tail(title: str, provider_name: str | None, domain: str | None) -> str | None:
    if not _SEPARATOR.search(title):
        return None
    separators = list(_SEPARATOR.finditer(title, max(0, len(title) - _LONGEST_SUFFIX)))
    if not separators:
        return None
    names = _names(provider_name, domain)
    # From the last separator to the first, because the provider's name may contain a separator.
    for separator in reversed(separators):
        head = title[: separator.start()].rstrip()
        if _plain(title[separator.end() :]) in names and _NOT_WORD.sub("", head):
            return head
    return None


@lru_cache(maxsize=4096)
def _names(name: str | None, domain: str | None) -> frozenset[str]:
    names = {_plain(name)} if name else set()
    if domain:
        registered = registrable_domain(domain) or domain
        names |= {_plain(domain), _plain(registered), _plain(registered.partition(".")[0])}
    return frozenset(names - {""})


def _plain(name: str) -> str:
    """Return the form in which spellings of one name are compared: `The News & Observer` → `newsandobserver`."""
    return _NOT_WORD.sub("", name.casefold().strip().removeprefix("the ").replace("&", "and"))
