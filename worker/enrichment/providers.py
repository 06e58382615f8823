"""The provider of an article (its publisher): its domain and its names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.article import Provider
from worker.enrichment.titles import clean_or_none
from worker.enrichment.urls.hosts import registrable_domain

MOST_NAMES = 100
"""Maximum number of other names of a provider. A hostile crawler could send a new one with every document."""

_NEARLY_ALL = 0.8  # share of mentions that a name unlike the domain needs
_SHORTEST_SHARED = 3  # characters that a name needs so that longer names beginning with it count for it
_REPUBLISHED = re.compile(r"\S\s+(?:on|via)\s+\S", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|//|www\.|[a-z0-9-]+(?:\.[a-z0-9-]+)+[/?#]", re.IGNORECASE)
_NOT_WORD = re.compile(r"[\W_]+")


@dataclass(slots=True)
class ProviderRef:
    """A provider: its registrable domain and its name in one document."""

    domain: str
    name: str | None


def provider_of(stated: Provider | None, url: str | None) -> ProviderRef | None:
    """Return the provider by its stated domain if valid, else by the domain of the article's `url`, else None."""
    domain = registrable_domain(stated.domain) if stated and stated.domain else None
    if domain is None and url:
        domain = registrable_domain(url)
    if domain is None:
        return None
    name = clean_or_none(stated.name) if stated else None
    return ProviderRef(domain, None if name is None or is_url(name) else name)


def is_url(name: str) -> bool:
    """Return whether a text is the address of a page and therefore no name. A bare domain (`msn.com`) can be one."""
    return _ADDRESS.match(name) is not None


def choose_name(domain: str, mentions: Mapping[str, int]) -> str | None:
    """Choose the name of a provider. `mentions`: name → number of articles that use it. Returns None if no name fits.

    The order of preference is: a name before the bare domain (`MSN` before `msn.com`), a name that spells the domain
    (`MSN` for msn.com), a name that is no republication (`The Sun on MSN` is one), the most frequent name, the
    shortest, the first in alphabetic order. The order of arrival has no effect.

    A name that shares nothing with the domain, not even initials, needs `_NEARLY_ALL` of the mentions. Longer names
    that begin with it count for it (`ABC News` for `ABC`). Otherwise the domain is a platform such as youtube.com and
    the names are its authors, so it gets no name.
    """
    mentions = {name: count for name, count in mentions.items() if not is_url(name)}
    label, whole = _plain(domain.partition(".")[0]), _plain(domain)
    enough = sum(mentions.values()) * _NEARLY_ALL
    plain = {name: _plain(name) for name in mentions}

    def merit(name: str) -> tuple[bool, bool, bool, int, int, str]:
        bare = "." in name and plain[name] == whole
        return bare, plain[name] != label, _REPUBLISHED.search(name) is not None, -mentions[name], len(name), name

    def agreed(name: str) -> int:
        if len(plain[name]) < _SHORTEST_SHARED:
            return mentions[name]
        return sum(count for other, count in mentions.items() if plain[other].startswith(plain[name]))

    candidates = [name for name in mentions if _names_alike(name, plain[name], label) or agreed(name) >= enough]
    return min(candidates, key=merit, default=None)


def _names_alike(name: str, plain: str, label: str) -> bool:
    if bool(plain) and (plain in label or label in plain):
        return True
    return "".join(word[0] for word in _NOT_WORD.split(name.casefold()) if word) == label


def other_names(name: str | None, mentions: Mapping[str, int], stated: list[str]) -> list[str]:
    """Return at most `MOST_NAMES` names other than `name`.

    First come the names in `stated` (by a reference document) in their order, then `mentions`, most frequent first.
    Addresses (`is_url`) are left out.
    """
    ordered = [*stated, *sorted(mentions, key=lambda one: (-mentions[one], one))]
    return [one for one in dict.fromkeys(ordered) if one != name and not is_url(one)][:MOST_NAMES]


def _plain(name: str) -> str:
    return _NOT_WORD.sub("", name.casefold())
