"""One article with its documents, receipts, links and aliases."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, FromClause, Select, func, select, union
from sqlalchemy.engine import Connection

from worker.enrichment.urls.canonical_urls import canonicalise, url_hash
from worker.queries.rows import MAX_ROWS, AnyRow, count, rows
from worker.queries.stories import story
from worker.store.linking.links import KINDS
from worker.store.tables import (
    article_topics,
    article_urls,
    articles,
    documents,
    images,
    links,
    providers,
    receipts,
    topics,
)

_BODY_CHARACTERS = 20_000


def article(connection: Connection, id_: int, *, limit: int = MAX_ROWS) -> dict[str, object] | None:
    """Return all data of one article without `secured`, for its page; None if there is none.

    `row`, `state`, `provider`, `story`, `body` (the first 20,000 characters), and lists of at most `limit` rows; `counts`
    has the full lengths of `documents`, `receipts`, `links_to` and `named_by`. Times are datetimes in UTC.
    """
    columns = [column for column in articles.c if column.name not in ("secured", "body", "content_hash")]
    body = func.substr(articles.c.body, 1, _BODY_CHARACTERS + 1).label("body")
    row = connection.execute(select(*columns, body).where(articles.c.id == id_)).first()
    if row is None:
        return None
    values = dict(row._mapping)
    text = values.pop("body") or ""
    conditions = {
        "documents": (documents, documents.c.article_hash == values.pop("url_hash")),
        "receipts": (receipts, receipts.c.article_id == id_),
        "links_to": (links, links.c.source_id == id_),
        "named_by": (links, named_by(id_)),
    }
    lists = {
        "documents": rows(connection, _documents(conditions["documents"][1]).limit(limit)),
        "receipts": rows(connection, newest(select(receipts).where(conditions["receipts"][1]), limit)),
        "links_to": rows(connection, outgoing_links(id_).limit(limit)),
        "named_by": rows(connection, incoming_links(id_, limit)),
    }
    for document in lists["documents"]:
        document["shown"] = document["id"] == row.document_id
    topic = (
        select(topics.c.id, topics.c.name, article_topics.c.origin)
        .join(article_topics, article_topics.c.topic_id == topics.c.id)
        .where(article_topics.c.article_id == id_)
        .order_by(article_topics.c.origin.desc(), article_topics.c.rank)
    )
    image = select(images).where(images.c.article_id == id_).order_by(images.c.rank)
    provider = rows(connection, select(providers).where(providers.c.id == row.provider_id))
    return {
        **lists,
        "row": values,
        "state": article_state(row),
        "provider": provider[0] if provider else None,
        "topics": rows(connection, topic.limit(limit)),
        "images": rows(connection, image.limit(limit)),
        "aliases": rows(connection, aliases(id_).limit(limit)),
        "story": story(connection, row.story_id),
        "body": text[:_BODY_CHARACTERS],
        "body_is_cut": len(text) > _BODY_CHARACTERS,
        # A list that is not cut off need not be counted in the database.
        "counts": {
            name: len(shown) if len(shown) < limit else count(connection, *conditions[name])
            for name, shown in lists.items()
        },
    }


def article_at(connection: Connection, url: str) -> AnyRow | None:
    """Return the article that a URL resolves to: its own, else the newest that claims it, else its stub, else None."""
    if not url.startswith(("http://", "https://")):
        return None
    try:
        hash_ = url_hash(canonicalise(url))
    except ValueError:
        return None
    own = connection.execute(select(articles).where(articles.c.url_hash == hash_)).first()
    if own is not None and not own.is_stub:
        return own
    claimed = select(articles).join(article_urls, article_urls.c.article_id == articles.c.id)
    live = claimed.where(article_urls.c.url_hash == hash_, ~articles.c.is_stub)
    return connection.execute(live.order_by(articles.c.revision.desc()).limit(1)).first() or own


def article_state(row: AnyRow) -> str:
    """Return `live` if a document describes the article, `stub` if others name it, `orphan` if none does any more."""
    return "live" if not row.is_stub else "orphan" if row.orphaned_at is not None else "stub"


def newest(receipts_: Select[*tuple[object, ...]], limit: int = MAX_ROWS) -> Select[*tuple[object, ...]]:
    """Sort a query of receipts, the newest first."""
    return receipts_.order_by(receipts.c.settled_at.desc(), receipts.c.id.desc()).limit(limit)


def aliases(id_: int) -> Select[*tuple[object, ...]]:
    """Select the other URLs of an article: `claim` and `url`."""
    columns = (article_urls.c.claim, article_urls.c.url)
    return select(*columns).where(article_urls.c.article_id == id_).order_by(article_urls.c.claim)


def named_by(id_: int) -> ColumnElement[bool]:
    """Select links of articles that name this one. The linker's links are stored from both ends, so they are left out."""
    own = select(articles.c.url_hash).where(articles.c.id == id_)
    claimed = select(article_urls.c.url_hash).where(article_urls.c.article_id == id_)
    described = select(documents.c.doc_hash).where(documents.c.article_hash.in_(own))  # items of collections name these
    names = union(own, claimed, described)
    return links.c.target_hash.in_(names) & (links.c.target_id == id_) & links.c.kind.not_in(KINDS)


def outgoing_links(id_: int) -> Select[*tuple[object, ...]]:
    """Select the links of an article, with the articles that they point to, the best first."""
    other = articles.alias()
    joined = links.outerjoin(other, other.c.id == links.c.target_id)
    query = select(*_link_columns(other)).select_from(joined).where(links.c.source_id == id_)
    return query.order_by(links.c.kind, links.c.rank, links.c.score.desc(), links.c.target_hash)


def incoming_links(id_: int, limit: int) -> Select[*tuple[object, ...]]:
    """Select the first `limit` links of `named_by`, with the articles that name this one."""
    first = select(links).where(named_by(id_)).order_by(links.c.source_id).limit(limit).subquery()
    other = articles.alias()
    joined = first.join(other, other.c.id == first.c.source_id)
    return select(*_link_columns(other, first)).select_from(joined).order_by(first.c.source_id)


def _link_columns(other: FromClause, link: FromClause = links) -> Sequence[ColumnElement[object]]:
    names = ("id", "title", "canonical_url", "is_stub", "published_at", "provider_name")
    return [*(link.c[name] for name in ("kind", "rank", "score", "reason")), *(other.c[name] for name in names)]


def _documents(where: ColumnElement[bool]) -> Select[*tuple[object, ...]]:
    names = ("id", "source", "key", "revision", "retracted", "changed_at", "pipeline_version")
    return select(*(documents.c[name] for name in names)).where(where).order_by(documents.c.revision.desc())
