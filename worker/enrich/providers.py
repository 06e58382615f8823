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

    A name that spells the domain wins (`MSN` for msn.com before `The Sun on MSN`), then the one said most often, then the
    shorter, then the first in the alphabet: no order of arrival is in it. Where many names share a domain and none of them
    spells it or is said by a third, the domain is a platform and those are its authors (youtube.com): no name.
    """
    if not said:
        return None
    label = _plain(domain.partition(".")[0])
    whole = _plain(domain)

    def merit(name: str) -> tuple[bool, int, int, str]:
        return _plain(name) not in (label, whole), -said[name], len(name), name

    best = min(said, key=merit)
    spells = _plain(best) in (label, whole)
    return best if spells or said[best] * 3 >= sum(said.values()) else None


def other_names(name: str | None, said: Mapping[str, int], stated: list[str]) -> list[str]:
    """The other names: those a reference document states, in its order, then those said, most said first."""
    ordered = [*stated, *sorted(said, key=lambda one: (-said[one], one))]
    return [one for one in dict.fromkeys(ordered) if one != name][:MOST_NAMES]


def _plain(name: str) -> str:
    return _NOT_WORD.sub("", name.casefold())
