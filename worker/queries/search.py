"""Search articles, receipts and dead letters by a URL, a receipt id, a key, or words of a title."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.engine import Connection

from worker.enrichment.canonical_urls import canonicalise, url_hash
from worker.pipeline import normal_key
from worker.queue.lease_queue import is_entry_id
from worker.settings import INTERNAL_LANE
from worker.store.tables import article_urls, articles, dead_letters, documents, lanes, receipts

NEWEST = 10_000
"""How many of the newest articles a search in titles reads. An index of words would slow down every write."""
_MOST = 50
_SHOWN = (
    articles.c.id, articles.c.title, articles.c.canonical_url, articles.c.published_at, articles.c.first_seen_at,
    articles.c.kind, articles.c.provider_name, articles.c.is_stub, articles.c.is_published,
)  # fmt: skip


@dataclass(slots=True)
class Found:
    """The result of a search. `by`: how it was found. The lists hold rows as dicts, the best first, at most 50 each."""

    wanted: str
    by: str
    articles: list[dict[str, Any]] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    dead_letters: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.articles or self.receipts or self.dead_letters)


def search(connection: Connection, wanted: str) -> Found:
    """Search for `wanted`. A URL, a receipt id or a key must match exactly.

    Otherwise all words must occur in the title.
    """
    wanted = wanted.strip()
    if wanted.startswith(("http://", "https://")):
        return _by_url(connection, wanted)
    if is_entry_id(wanted) and len(wanted.partition("-")[0]) >= 10:
        return _by_receipt(connection, wanted)
    found = _by_key(connection, wanted)
    return found if not found.is_empty else _by_title(connection, wanted)


def _by_url(connection: Connection, wanted: str) -> Found:
    found = Found(wanted, "URL")
    try:
        hash_ = url_hash(canonicalise(wanted))
    except ValueError:
        return found
    # Two look-ups by index: one condition with OR would scan all articles.
    own = _articles(connection, articles.c.url_hash == hash_)
    claimed = select(article_urls.c.article_id).where(article_urls.c.url_hash == hash_).limit(_MOST)
    ids = [row.article_id for row in connection.execute(claimed)]
    others = _articles(connection, articles.c.id.in_(ids)) if ids else []
    found.articles = list({row["id"]: row for row in [*own, *others]}.values())
    if not found.articles:
        return _by_key(connection, wanted, by="URL")
    return found


def _by_receipt(connection: Connection, wanted: str) -> Found:
    found = Found(wanted, "receipt id")
    known = {INTERNAL_LANE, *connection.scalars(select(lanes.c.name))}
    mine = select(receipts).where(receipts.c.lane.in_(known), receipts.c.id == wanted)
    found.receipts = _rows(connection, mine)
    ids = {row["article_id"] for row in found.receipts if row["article_id"] is not None}
    found.articles = _articles(connection, articles.c.id.in_(ids)) if ids else []
    found.dead_letters = _dead_letters(
        connection, dead_letters.c.lane.in_(known) & (dead_letters.c.receipt_id == wanted)
    )
    return found


def _by_key(connection: Connection, wanted: str, *, by: str = "key") -> Found:
    found = Found(wanted, by)
    keys = {wanted, normal_key(wanted)}
    theirs = select(documents.c.article_hash).where(documents.c.key.in_(keys), documents.c.article_hash.is_not(None))
    hashes = list(connection.scalars(theirs.limit(_MOST)))
    found.articles = _articles(connection, articles.c.url_hash.in_(hashes)) if hashes else []
    mine = select(receipts).where(receipts.c.key.in_(keys)).order_by(receipts.c.settled_at.desc()).limit(_MOST)
    found.receipts = _rows(connection, mine)
    rejected = [row["id"] for row in found.receipts if row["outcome"] == "rejected"]
    if rejected:
        on = {row["lane"] for row in found.receipts}
        found.dead_letters = _dead_letters(
            connection, dead_letters.c.lane.in_(on) & dead_letters.c.receipt_id.in_(rejected)
        )
    return found


def _by_title(connection: Connection, wanted: str) -> Found:
    found = Found(wanted, "title")
    words = wanted.split()[:10]
    if not words:
        return found
    recent = select(*_SHOWN).order_by(articles.c.first_seen_at.desc()).limit(NEWEST).subquery()
    named = [recent.c.title.icontains(word, autoescape=True) for word in words]
    query = select(recent).where(*named).order_by(recent.c.first_seen_at.desc()).limit(_MOST)
    found.articles = _rows(connection, query)
    return found


def _articles(connection: Connection, where: ColumnElement[bool]) -> list[dict[str, Any]]:
    # Articles with a document come before stubs.
    query = select(*_SHOWN).where(where).order_by(articles.c.is_stub, articles.c.first_seen_at.desc()).limit(_MOST)
    return _rows(connection, query)


def _dead_letters(connection: Connection, where: ColumnElement[bool]) -> list[dict[str, Any]]:
    columns = (dead_letters.c.id, dead_letters.c.code, dead_letters.c.source, dead_letters.c.key, dead_letters.c.status,
               dead_letters.c.created_at)  # fmt: skip
    return _rows(connection, select(*columns).where(where).order_by(dead_letters.c.id.desc()).limit(_MOST))


def _rows(connection: Connection, query: Any) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(query)]
