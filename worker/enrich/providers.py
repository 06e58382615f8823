"""Who published an article."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.article import Provider
from worker.enrich.hosts import registrable_domain
from worker.enrich.text import clean_or_none

MOST_NAMES = 100
"""Other names that are kept: a hostile crawler could send a new one with every document."""

_NEARLY_ALL = 0.8
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


def choose_name(domain: str, said: Mapping[str, int]) -> str | None:
    """The name of a provider among those that articles say, name → how many.

    A name that spells the domain wins (`MSN` for msn.com), then one that is no republication (`The Sun on MSN`), then the
    one said most often, then the shorter, then the first in the alphabet: no order of arrival is in it. A name that has
    nothing of the domain must be said by nearly all: elsewhere the domain is a platform and those are its authors
    (youtube.com), and there is no name.
    """
    label, whole = _plain(domain.partition(".")[0]), _plain(domain)
    enough = sum(said.values()) * _NEARLY_ALL

    def spells(name: str) -> bool:
        return _plain(name) in (label, whole)

    def merit(name: str) -> tuple[bool, bool, int, int, str]:
        return not spells(name), _REPUBLISHED.search(name) is not None, -said[name], len(name), name

    candidates = [name for name in said if _shares(_plain(name), label) or said[name] >= enough]
    return min(candidates, key=merit, default=None)


def _shares(name: str, label: str) -> bool:
    return bool(name) and (name in label or label in name)


def other_names(name: str | None, said: Mapping[str, int], stated: list[str]) -> list[str]:
    """The other names: those a reference document states, in its order, then those said, most said first."""
    ordered = [*stated, *sorted(said, key=lambda one: (-said[one], one))]
    return [one for one in dict.fromkeys(ordered) if one != name][:MOST_NAMES]


def _plain(name: str) -> str:
    return _NOT_WORD.sub("", name.casefold())
