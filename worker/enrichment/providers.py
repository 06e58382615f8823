"""Who published an article."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.article import Provider
from worker.enrichment.hosts import registrable_domain
from worker.enrichment.titles import clean_or_none

MOST_NAMES = 100
"""Other names that are kept: a hostile crawler could send a new one with every document."""

_NEARLY_ALL = 0.8
_SHORTEST_SHARED = 3  # characters of a name whose longer forms count for it
_REPUBLISHED = re.compile(r"\S\s+(?:on|via)\s+\S", re.IGNORECASE)
_NOT_WORD = re.compile(r"[\W_]+")


@dataclass(slots=True)
class ProviderRef:
    """A provider by its registrable domain, with the name this document gives it."""

    domain: str
    name: str | None


def provider_of(stated: Provider | None, url: str | None) -> ProviderRef | None:
    """The stated provider's domain where it is one, else that of the article's URL; None with neither."""
    domain = registrable_domain(stated.domain) if stated and stated.domain else None
    if domain is None and url:
        domain = registrable_domain(url)
    if domain is None:
        return None
    return ProviderRef(domain, clean_or_none(stated.name) if stated else None)


def choose_name(domain: str, mentions: Mapping[str, int]) -> str | None:
    """The name of a provider among those that articles say, name → how many.

    A name is better than the bare domain (`MSN` than `msn.com`), one that spells it (`MSN` for msn.com) than others, one
    that is no republication than one that is (`The Sun on MSN`), then the one said most often, then the shorter, then the
    first in the alphabet: no order of arrival is in it. A name that has nothing of the domain, not even as its initials,
    must be said by nearly all, longer forms of it counted (`ABC News` for `ABC`): elsewhere the domain is a platform and
    those are its authors (youtube.com), and there is no name.
    """
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

    candidates = [name for name in mentions if _shares_words(name, plain[name], label) or agreed(name) >= enough]
    return min(candidates, key=merit, default=None)


def _shares_words(name: str, plain: str, label: str) -> bool:
    if bool(plain) and (plain in label or label in plain):
        return True
    return "".join(word[0] for word in _NOT_WORD.split(name.casefold()) if word) == label


def other_names(name: str | None, mentions: Mapping[str, int], stated: list[str]) -> list[str]:
    """The other names: those a reference document states, in its order, then those said, most said first."""
    ordered = [*stated, *sorted(mentions, key=lambda one: (-mentions[one], one))]
    return [one for one in dict.fromkeys(ordered) if one != name][:MOST_NAMES]


def _plain(name: str) -> str:
    return _NOT_WORD.sub("", name.casefold())
