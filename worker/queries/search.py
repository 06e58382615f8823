"""Search articles, receipts and dead letters by a URL, a receipt id, a key, or words of a title or excerpt."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.engine import Connection

from worker.enrichment.urls.canonical_urls import canonicalise, url_hash
from worker.pipeline import normal_key
from worker.queries.rows import MAX_ROWS, RowDict, rows
from worker.queue.lease_queue import is_entry_id
from worker.settings import INTERNAL_LANE
from worker.store.tables import article_urls, articles, dead_letters, documents, lanes, receipts
from worker.word_index import stored_terms
from worker.word_index.filling import BEGINNING, Position, read_position
from worker.word_index.terms import query_terms

NEWEST = 10_000
"""How many of the articles that are not indexed yet a search reads, the newest first."""
_FIELDS = "id title canonical_url published_at first_seen_at kind provider_name is_stub is_published"
_SHOWN = [articles.c[name] for name in _FIELDS.split()]


@dataclass(slots=True)
class SearchResult:
    """The result of a search. `by`: how it was found. The lists hold rows as dicts, the best first, at most 50 each.

    `is_partial`: older articles may have the words too, because they are not indexed. `indexed_until`: articles that
    changed before are indexed; None: there is no index, or the search was not for words.
    """

    query: str
    by: str
    is_partial: bool = False
    indexed_until: datetime | None = None
    articles: list[RowDict] = field(default_factory=list)
    receipts: list[RowDict] = field(default_factory=list)
    dead_letters: list[RowDict] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.articles or self.receipts or self.dead_letters)


def search(connection: Connection, query: str) -> SearchResult:
    """Search for `query`. A URL, a receipt id or a key must match exactly.

    Otherwise all words, or words that begin with them, must occur in the title or the excerpt.
    """
    query = query.strip()
    if query.startswith(("http://", "https://")):
        return _by_url(connection, query)
    if is_entry_id(query) and len(query.partition("-")[0]) >= 10:
        return _by_receipt(connection, query)
    result = _by_key(connection, query)
    return result if not result.is_empty else _by_words(connection, query)


def _by_url(connection: Connection, query: str) -> SearchResult:
    result = SearchResult(query, "URL")
    try:
        hash_ = url_hash(canonicalise(query))
    except ValueError:
        return result
    # Two look-ups by index: one condition with OR would scan all articles.
    own = _articles(connection, articles.c.url_hash == hash_)
    claimed = select(article_urls.c.article_id).where(article_urls.c.url_hash == hash_).limit(MAX_ROWS)
    ids = [row.article_id for row in connection.execute(claimed)]
    others = _articles(connection, articles.c.id.in_(ids)) if ids else []
    result.articles = list({row["id"]: row for row in [*own, *others]}.values())
    if not result.articles:
        return _by_key(connection, query, by="URL")
    return result


def _by_receipt(connection: Connection, query: str) -> SearchResult:
    result = SearchResult(query, "receipt id")
    known = {INTERNAL_LANE, *connection.scalars(select(lanes.c.name))}
    mine = select(receipts).where(receipts.c.lane.in_(known), receipts.c.id == query)
    result.receipts = rows(connection, mine)
    ids = {row["article_id"] for row in result.receipts if row["article_id"] is not None}
    result.articles = _articles(connection, articles.c.id.in_(ids)) if ids else []
    result.dead_letters = _dead_letters(
        connection, dead_letters.c.lane.in_(known) & (dead_letters.c.receipt_id == query)
    )
    return result


def _by_key(connection: Connection, query: str, *, by: str = "key") -> SearchResult:
    result = SearchResult(query, by)
    keys = {query, normal_key(query)}
    theirs = select(documents.c.article_hash).where(documents.c.key.in_(keys), documents.c.article_hash.is_not(None))
    hashes = list(connection.scalars(theirs.limit(MAX_ROWS)))
    result.articles = _articles(connection, articles.c.url_hash.in_(hashes)) if hashes else []
    mine = select(receipts).where(receipts.c.key.in_(keys)).order_by(receipts.c.settled_at.desc()).limit(MAX_ROWS)
    result.receipts = rows(connection, mine)
    rejected = [row["id"] for row in result.receipts if row["outcome"] == "rejected"]
    if rejected:
        on = {row["lane"] for row in result.receipts}
        result.dead_letters = _dead_letters(
            connection, dead_letters.c.lane.in_(on) & dead_letters.c.receipt_id.in_(rejected)
        )
    return result


def _by_words(connection: Connection, query: str) -> SearchResult:
    """Search the index of words, and the titles and excerpts of the newest articles that are not indexed yet."""
    result = SearchResult(query, "words")
    terms = query_terms(query)
    if not terms:
        return result
    position = read_position(connection)
    ids = stored_terms.matching(connection, terms, MAX_ROWS) if position else []
    found = _articles(connection, articles.c.id.in_(ids)) if ids else []
    fresh, result.is_partial = _not_indexed(connection, query, position or BEGINNING)
    by_id = {row["id"]: row for row in (*fresh, *found)}
    result.articles = sorted(by_id.values(), key=lambda row: (row["is_stub"], -row["id"]))[:MAX_ROWS]
    if position and position != BEGINNING:
        result.indexed_until = position.until
    return result


def _not_indexed(connection: Connection, query: str, position: Position) -> tuple[list[RowDict], bool]:
    """Search the articles after `position`; return them, and whether there are more than are searched."""
    columns = (*_SHOWN, articles.c.excerpt)
    order = (articles.c.changed_at.desc(), articles.c.id.desc())
    newest = select(*columns).where(position.is_later).order_by(*order).limit(NEWEST).subquery()
    has_word = (
        or_(newest.c.title.icontains(word, autoescape=True), newest.c.excerpt.icontains(word, autoescape=True))
        for word in query.split()[:10]
    )
    shown = [newest.c[name] for name in _FIELDS.split()]
    found = rows(connection, select(*shown).where(*has_word).order_by(newest.c.id.desc()).limit(MAX_ROWS))
    beyond = select(articles.c.id).where(position.is_later).order_by(*order).offset(NEWEST).limit(1)
    return found, connection.scalar(beyond) is not None


def _articles(connection: Connection, where: ColumnElement[bool]) -> list[RowDict]:
    # Articles with a document come before stubs.
    query = select(*_SHOWN).where(where).order_by(articles.c.is_stub, articles.c.first_seen_at.desc()).limit(MAX_ROWS)
    return rows(connection, query)


def _dead_letters(connection: Connection, where: ColumnElement[bool]) -> list[RowDict]:
    names = ("id", "code", "source", "key", "status", "created_at")
    columns = [dead_letters.c[name] for name in names]
    return rows(connection, select(*columns).where(where).order_by(dead_letters.c.id.desc()).limit(MAX_ROWS))
