"""Where the documents of each site went: how many arrived, and at which stage the others were lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, case, exists, func, select
from sqlalchemy.engine import Connection

from worker.enrichment.urls.hosts import registrable_domain
from worker.queries.sources.missing_urls import TEXT_BEGINNING, urls_of
from worker.settings import INTERNAL_LANE
from worker.store.tables import articles, dead_letters, documents, providers, raw_documents, receipts

_PAGE = 200


@dataclass(slots=True)
class SiteLosses:
    """The documents of a site in a period. An empty `site`: documents of which no URL can be read."""

    site: str
    received: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    """Code of the first error → rejected documents."""
    unlinked: int = 0
    """Articles that changed in the period and wait for the linker."""


def losses(
    connection: Connection, since: datetime, *, site: str | None = None, source: str | None = None
) -> list[SiteLosses]:
    """Return the losses of all sites, or of one, since a time; those that lost most come first.

    With `source`: of the documents that it sent.

    It reads all receipts and dead letters of the period. Raises SQLAlchemy's errors.
    """
    found: dict[str, SiteLosses] = {}

    def of(name: str | None) -> SiteLosses:
        return found.setdefault(name or "", SiteLosses(name or ""))

    for domain, url, outcome, count in connection.execute(_accepted(since, source)):
        losses_ = of(domain or (registrable_domain(url) if url else None))
        losses_.received += count
        losses_.outcomes[outcome] += count
    for name, code in _rejected(connection, since, source):
        losses_ = of(name)
        losses_.received += 1
        losses_.outcomes["rejected"] += 1
        losses_.codes[code] += 1
    unlinked = (
        select(providers.c.domain, func.count())
        .select_from(articles.outerjoin(providers, providers.c.id == articles.c.provider_id))
        .where(articles.c.link_state == "pending", articles.c.changed_at >= since, ~articles.c.is_stub)
        .group_by(providers.c.domain)
    )
    if source is not None:
        of_source = exists().where(documents.c.id == articles.c.document_id, documents.c.source == source)
        unlinked = unlinked.where(of_source)
    for domain, count in connection.execute(unlinked):
        of(domain).unlinked = count
    chosen = [one for one in found.values() if site in (None, one.site)]
    return sorted(chosen, key=lambda one: (-one.outcomes["rejected"], -one.received, one.site))


def _accepted(since: datetime, source: str | None) -> Select[Any]:
    joined = receipts.outerjoin(articles, articles.c.id == receipts.c.article_id).outerjoin(
        providers, providers.c.id == articles.c.provider_id
    )
    # An article whose document was retracted has no provider any more.
    url = case((providers.c.domain.is_(None), receipts.c.url))
    query: Select[Any] = (
        select(providers.c.domain, url, receipts.c.outcome, func.count())
        .select_from(joined)
        .where(receipts.c.settled_at >= since, receipts.c.lane != INTERNAL_LANE, receipts.c.outcome != "rejected")
        .group_by(providers.c.domain, url, receipts.c.outcome)
    )
    return query if source is None else query.where(receipts.c.source == source)


def _rejected(connection: Connection, since: datetime, source: str | None) -> Iterator[tuple[str | None, str]]:
    """Yield the site and the code of each rejected document; the site is read from its URLs, also in a text that is no YAML."""
    table, after = dead_letters.c, 0
    receipt = (receipts.c.lane == table.lane) & (receipts.c.id == table.receipt_id)
    joined = dead_letters.outerjoin(receipts, receipt).outerjoin(
        raw_documents, raw_documents.c.sha256 == table.raw_sha256
    )
    columns = (table.id, table.code, table.key, receipts.c.url, TEXT_BEGINNING)
    query: Select[Any] = select(*columns).select_from(joined)
    query = query.where(table.created_at >= since, table.lane != INTERNAL_LANE).order_by(table.id).limit(_PAGE)
    if source is not None:
        query = query.where(table.source == source)
    while rows := connection.execute(query.where(table.id > after)).all():
        after = rows[-1].id
        for row in rows:
            yield _site(row), row.code


def _site(row: Row[Any]) -> str | None:
    return next((site for url in urls_of(row) if (site := registrable_domain(url))), None)
