"""Explain a document or an article: receipts, problems, documents, aliases, links in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, union
from sqlalchemy.engine import Connection

from worker.enrichment.canonical_urls import canonicalise, url_hash
from worker.heat_rules import DEFAULT_RULES, AllRules
from worker.pipeline import normal_key
from worker.queries.heat_explanation import explain_heat, explain_story_heat
from worker.queries.stories import story
from worker.settings import INTERNAL_LANE
from worker.store.links import KINDS
from worker.store.tables import article_urls, articles, dead_letters, documents, lanes, links, receipts

_MOST = 50


def explain(
    connection: Connection, wanted: str, *, most: int = _MOST, rules: AllRules = DEFAULT_RULES
) -> dict[str, Any]:
    """Return all that the store has about a receipt id, a URL or a producer's key; empty lists if it has nothing.

    `{"asked", "article", "documents", "counts", "receipts", "dead_letters"}`; `article` may be None. The lists have
    the newest `most` rows; `counts` has their full lengths. `rules`: by which the heat is explained.
    """
    lanes_ = {INTERNAL_LANE, *connection.scalars(select(lanes.c.name))}
    named = receipts.c.lane.in_(lanes_) & (receipts.c.id == wanted)
    found_receipts = list(connection.execute(_newest(select(receipts).where(named))))
    article = article_of(connection, wanted)
    if article is None and found_receipts:
        source_document = found_receipts[0].article_id
        article = _one(connection, articles.c.id == source_document) if source_document is not None else None
    keys = documents.c.key.in_({wanted, normal_key(wanted)})
    document_ids = {row.document_id for row in found_receipts if row.document_id is not None}
    same = or_(keys, documents.c.id.in_(document_ids))
    if article is None:
        live = select(documents.c.article_hash).where(same, ~documents.c.retracted)
        hash_ = connection.scalar(live.order_by(documents.c.revision.desc()).limit(1))
        article = _one(connection, articles.c.url_hash == hash_) if hash_ is not None else None
    if article is not None:
        # Documents that described it before belong to its history: they were retracted or moved to another URL.
        before = select(receipts.c.document_id).where(receipts.c.article_id == article.id).distinct().limit(_MOST)
        document_ids |= {id_ for id_ in connection.scalars(before) if id_ is not None}
        same = or_(keys, documents.c.id.in_(document_ids), documents.c.article_hash == article.url_hash)
    published = connection.execute(
        select(documents).where(same).order_by(documents.c.revision.desc()).limit(most)
    ).all()
    published = [*published, *_retracted_with(connection, published)]
    theirs = or_(named, receipts.c.key == wanted, receipts.c.document_id.in_([row.id for row in published]))
    history = connection.execute(_newest(select(receipts).where(theirs), most)).all()
    dead = dead_letters.c.id.in_(_dead_letters(lanes_, wanted, theirs))
    letters = connection.execute(select(dead_letters).where(dead).order_by(dead_letters.c.id.desc()).limit(most)).all()
    counts = {
        "documents": _count(connection, documents, same),
        "receipts": _count(connection, receipts, theirs),
        "dead_letters": _count(connection, dead_letters, dead),
    }
    return {
        "asked": wanted,
        "article": _article(connection, article, rules) if article is not None else None,
        "documents": [
            {
                "source": row.source, "key": row.key, "revision": row.revision, "retracted": row.retracted,
                "tells": article is not None and article.url_hash == row.article_hash,
                "shown": article is not None and article.document_id == row.id, "changed_at": row.changed_at.isoformat(),
            }
            for row in published
        ],
        "counts": counts,
        "receipts": [_receipt(row) for row in history],
        "dead_letters": [{"dead_letter": row.id, "code": row.code, "status": row.status, "id": row.receipt_id} for row in letters],
    }  # fmt: skip


def _retracted_with(connection: Connection, published: Sequence[Any]) -> list[Any]:
    """Return the documents that hold the retraction, by the same source, of a URL that retracted documents showed.

    Their receipts explain the retraction.
    """
    ids, sources = [row.id for row in published], {row.source for row in published if row.retracted}
    if not sources:
        return []
    urls = (
        select(receipts.c.url)
        .where(receipts.c.document_id.in_(ids), receipts.c.url.is_not(None))
        .distinct()
        .limit(_MOST)
    )
    by_url = documents.c.key.in_(list(connection.scalars(urls))), documents.c.source.in_(sources)
    found = select(documents).where(*by_url, documents.c.url_retraction.is_not(None), documents.c.id.not_in(ids))
    return list(connection.execute(found.limit(_MOST)))


def _one(connection: Connection, where: Any) -> Any:
    return connection.execute(select(articles).where(where)).first()


def _dead_letters(lanes_: set[str], wanted: str, theirs: ColumnElement[bool]) -> Any:
    """Select the ids of the dead letters of receipt `wanted` and of receipts `theirs`, by the unique index."""
    own = select(dead_letters.c.id).where(dead_letters.c.lane.in_(lanes_), dead_letters.c.receipt_id == wanted)
    same = (dead_letters.c.lane == receipts.c.lane) & (dead_letters.c.receipt_id == receipts.c.id)
    rejected = select(dead_letters.c.id).join(receipts, same).where(theirs, receipts.c.outcome == "rejected")
    return union(own, rejected)


def _newest(query: Any, most: int = _MOST) -> Any:
    return query.order_by(receipts.c.settled_at.desc(), receipts.c.id.desc()).limit(most)


def _count(connection: Connection, table: Any, where: Any) -> int:
    return int(connection.scalar(select(func.count()).select_from(table).where(where)) or 0)


def article_of(connection: Connection, wanted: str) -> Any:
    """Return the article that a URL resolves to: its own, else the newest that claims it, else its stub, else None."""
    if not wanted.startswith(("http://", "https://")):
        return None
    try:
        wanted_hash = url_hash(canonicalise(wanted))
    except ValueError:
        return None
    found = connection.execute(select(articles).where(articles.c.url_hash == wanted_hash)).first()
    if found is not None and not found.is_stub:
        return found
    claimed = select(articles).join(article_urls, article_urls.c.article_id == articles.c.id)
    live = claimed.where(article_urls.c.url_hash == wanted_hash, ~articles.c.is_stub)
    return connection.execute(live.order_by(articles.c.revision.desc()).limit(1)).first() or found


def _article(connection: Connection, row: Any, rules: AllRules) -> dict[str, Any]:
    aliases = connection.execute(
        select(article_urls.c.claim, article_urls.c.url)
        .where(article_urls.c.article_id == row.id)
        .order_by(article_urls.c.claim)
    ).all()
    other = articles.alias()
    one_way = links.c.kind.not_in(KINDS)  # the linker's links are stored from both ends
    outgoing = (
        select(links.c.kind, links.c.rank, links.c.score, links.c.reason, other.c.title, other.c.canonical_url)
        .outerjoin(other, other.c.id == links.c.target_id)
        .where(links.c.source_id == row.id)
        .order_by(links.c.kind, links.c.rank, links.c.score.desc(), links.c.target_hash)
        .limit(_MOST)
    )
    incoming = (
        select(links.c.kind, links.c.rank, links.c.score, links.c.reason, other.c.title, other.c.canonical_url)
        .join(other, other.c.id == links.c.source_id)
        .where(links.c.target_id == row.id, one_way)
        .order_by(links.c.kind, other.c.canonical_url)
        .limit(_MOST)
    )
    named = connection.scalar(select(func.count()).select_from(links).where(links.c.target_id == row.id, one_way))
    in_story = story(connection, row.story_id)
    state = "told" if not row.is_stub else "orphan" if row.orphaned_at is not None else "stub"
    return {
        "id": row.id, "url": row.canonical_url, "state": state, "kind": row.kind, "title": row.title,
        "published_at": row.published_at.isoformat() if row.published_at else None, "story": row.story_id,
        "in_story": in_story, "heat": explain_heat(connection, row, rules),
        "story_heat": explain_story_heat(connection, in_story, rules), "link_state": row.link_state,
        "revision": row.revision, "aliases": [dict(alias._mapping) for alias in aliases],
        "links_to": [dict(link._mapping) for link in connection.execute(outgoing)],
        "named_by": [dict(link._mapping) for link in connection.execute(incoming)], "named_by_count": named,
    }  # fmt: skip


def _receipt(row: Any) -> dict[str, Any]:
    # `settled_at` is the time when the transaction began. The time after that is in the timings.
    within = sum(row.timings.get(stage, 0) for stage in ("turn", "store")) / 1000
    took = round(max(0.0, (row.settled_at - row.received_at).total_seconds() + within), 3)
    return {
        "id": row.id, "lane": row.lane, "source": row.source, "key": row.key, "outcome": row.outcome, "url": row.url,
        "problems": row.problems, "received_at": row.received_at.isoformat(), "settled_at": row.settled_at.isoformat(),
        "worker": row.worker, "attempts": row.attempts, "changed": row.changed, "trace_id": row.trace_id,
        "timings": row.timings,
        "took_seconds": took, "waited_seconds": round(max(0.0, took - sum(row.timings.values()) / 1000), 3),
    }  # fmt: skip
