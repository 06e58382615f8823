"""One article for the console: its content, its documents, its links and their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from worker.queries.stories import story
from worker.store.links import KINDS
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

_MOST = 50
"""The most rows of each list; `counts` has the totals."""
_BODY_CHARACTERS = 20_000


def article(connection: Connection, id_: int, *, most: int = _MOST) -> dict[str, Any] | None:
    """Return all data of one article without `secured`; None if there is none. Lists have at most `most` rows.

    `{"row", "state", "provider", "topics", "images", "aliases", "documents", "receipts", "links_to", "named_by",
    "story", "body", "body_is_cut", "counts"}`. Times are datetimes in UTC. `counts` has the full lengths of
    `documents`, `receipts`, `links_to` and `named_by`. `body` has at most 20,000 characters.
    """
    columns = [column for column in articles.c if column.name not in ("secured", "body", "url_hash", "content_hash")]
    body = func.substr(articles.c.body, 1, _BODY_CHARACTERS + 1).label("body")
    row = connection.execute(select(*columns, articles.c.url_hash, body).where(articles.c.id == id_)).first()
    if row is None:
        return None
    values = dict(row._mapping)
    hash_, text = values.pop("url_hash"), values.pop("body") or ""
    state = "told" if not row.is_stub else "orphan" if row.orphaned_at is not None else "stub"
    provider = connection.execute(select(providers).where(providers.c.id == row.provider_id)).first()
    about = (
        select(topics.c.id, topics.c.name, article_topics.c.origin)
        .join(article_topics, article_topics.c.topic_id == topics.c.id)
        .where(article_topics.c.article_id == id_)
        .order_by(article_topics.c.origin.desc(), article_topics.c.rank)
        .limit(most)
    )
    pictures = select(images).where(images.c.article_id == id_).order_by(images.c.rank).limit(most)
    aliases = select(article_urls.c.claim, article_urls.c.url).where(article_urls.c.article_id == id_)
    published = documents.c.article_hash == hash_
    told_columns = (documents.c.id, documents.c.source, documents.c.key, documents.c.revision, documents.c.retracted,
                    documents.c.changed_at, documents.c.pipeline_version)  # fmt: skip
    source_documents = select(*told_columns).where(published).order_by(documents.c.revision.desc()).limit(most)
    history = (
        select(receipts)
        .where(receipts.c.article_id == id_)
        .order_by(receipts.c.settled_at.desc(), receipts.c.id.desc())
        .limit(most)
    )
    found = {
        "documents": _rows(connection, source_documents),
        "receipts": _rows(connection, history),
        "links_to": _rows(connection, _links(id_, outgoing=True).limit(most)),
        "named_by": _rows(connection, _links(id_, outgoing=False).limit(most)),
    }
    all_of = {
        "documents": (documents, published),
        "receipts": (receipts, receipts.c.article_id == id_),
        "links_to": (links, links.c.source_id == id_),
        "named_by": (links, (links.c.target_id == id_) & ~links.c.kind.in_(KINDS)),
    }
    # A list that is not cut off need not be counted in the database.
    counts = {
        name: len(rows) if len(rows) < most else _count(connection, *all_of[name]) for name, rows in found.items()
    }
    for document in found["documents"]:
        document["shown"] = document["id"] == row.document_id
    return {
        **found,
        "row": values,
        "state": state,
        "body": text[:_BODY_CHARACTERS],
        "body_is_cut": len(text) > _BODY_CHARACTERS,
        "provider": _mapping(provider),
        "topics": _rows(connection, about),
        "images": _rows(connection, pictures),
        "aliases": _rows(connection, aliases.order_by(article_urls.c.claim).limit(most)),
        "story": story(connection, row.story_id),
        "counts": counts,
    }


def _links(id_: int, *, outgoing: bool) -> Any:
    other = articles.alias()
    columns = (
        links.c.kind, links.c.rank, links.c.score, links.c.reason, other.c.id, other.c.title, other.c.canonical_url,
        other.c.is_stub, other.c.published_at, other.c.provider_name,
    )  # fmt: skip
    if outgoing:
        joined = links.outerjoin(other, other.c.id == links.c.target_id)
        query = select(*columns).select_from(joined).where(links.c.source_id == id_)
        return query.order_by(links.c.kind, links.c.score.desc(), links.c.rank, links.c.target_hash)
    joined = links.join(other, other.c.id == links.c.source_id)
    one_way = links.c.kind.not_in(KINDS)
    return select(*columns).select_from(joined).where(links.c.target_id == id_, one_way).order_by(links.c.source_id)


def _rows(connection: Connection, query: Any) -> list[dict[str, Any]]:
    return [dict(found._mapping) for found in connection.execute(query)]


def _mapping(row: Any) -> Mapping[str, Any] | None:
    return None if row is None else dict(row._mapping)


def _count(connection: Connection, table: Any, where: Any) -> int:
    return int(connection.scalar(select(func.count()).select_from(table).where(where)) or 0)
