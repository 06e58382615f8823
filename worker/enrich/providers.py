"""Who published an article."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.article import Provider
from worker.enrich.hosts import registrable_domain
from worker.enrich.text import clean_or_none


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
