"""Titles and excerpts as people read them: no entities, no stray white space, no name of the site at the end."""

from __future__ import annotations

import html
import re
from functools import lru_cache

from worker.documents.characters import clean_text
from worker.enrichment.hosts import registrable_domain

_ENTITY = re.compile(r"&(?:amp;(?!lt;|gt;))?(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
"""A character reference, ended by its semicolon: without one, `AT&T` and `?a=1&copy=2` would be harmed.

A reference escaped once more (`&amp;quot;`) is met in real excerpts and resolved whole; but `&amp;lt;` is how a text
writes the characters `&lt;`, and stays that.
"""
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_SEPARATOR = re.compile(r" (?:[|\-–—]|::) ")  # in a text that is clean, where every blank is a plain one
_LONGEST_SUFFIX = 120  # characters; no name is longer
_MOST_SUFFIXES = 3  # name and domain are met together; with both bounds a hostile title costs no more than its length
_NOT_WORD = re.compile(r"[\W_]+")


def clean(text: str) -> str:
    """Character references resolved, runs of white space made one space, edges stripped."""
    if "&" in text:
        text = clean_text(_ENTITY.sub(_resolve, text))[0]  # a reference can stand for a mark that composes
    if text.isprintable() and "  " not in text:
        return text.strip(" ")  # the plain blank is the only white space that is printable, and nothing unseen is
    text = " ".join(text.split())
    if text and (text[0] in _INVISIBLE or text[-1] in _INVISIBLE):
        text = text.strip(_INVISIBLE + " ")
    return text


def _resolve(match: re.Match[str]) -> str:
    return html.unescape(f"&{match[1]};")


def clean_or_none(text: str | None) -> str | None:
    """`clean`, with None where nothing is left."""
    return (clean(text) or None) if text else None


def strip_provider_suffix(title: str, provider_name: str | None, domain: str | None) -> str:
    """A clean `title` without ` | X` (or another separator) at its end, where X is the provider's name or domain.

    Of 977 real titles with a separator only some 70 end in the name of their provider: so no other tail is touched.
    Never strips to nothing.
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
    # From the last to the first, because a provider's own name may hold a separator.
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
    """`The News & Observer` → `newsandobserver`: what two spellings of one name have in common."""
    return _NOT_WORD.sub("", name.casefold().strip().removeprefix("the ").replace("&", "and"))
