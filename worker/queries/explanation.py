"""Explain a document or an article: receipts, problems, documents, aliases, links in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from sqlalchemy import ColumnElement, CompoundSelect, or_, select, union
from sqlalchemy.engine import Connection

from worker.heat_rules import DEFAULT_RULES, AllRules
from worker.pipeline import normal_key
from worker.queries.articles import (
    aliases,
    article_at,
    article_state,
    incoming_links,
    named_by,
    newest,
    outgoing_links,
)
from worker.queries.heat_explanation import ExplainedHeat, ExplainedStoryHeat, explain_heat, explain_story_heat
from worker.queries.pending import PendingEntry
from worker.queries.rows import MAX_ROWS, AnyRow, RowDict, count, iso, rows
from worker.queries.stories import Story, story
from worker.settings import INTERNAL_LANE
from worker.store.tables import articles, dead_letters, documents, lanes, links, receipts

_RECEIPT_FIELDS = (
    *("id", "lane", "source", "key", "outcome", "url", "problems", "received_at", "settled_at"),
    *("worker", "attempts", "changed", "trace_id", "timings"),
)
_LINK_FIELDS = ("kind", "rank", "score", "reason", "title", "canonical_url")


class ExplainedArticle(TypedDict):
    """An article. Times are ISO 8601; the lists of links have at most 50 rows."""

    id: int
    url: str | None
    state: str
    """See `article_state`."""
    kind: str | None
    title: str | None
    published_at: str | None
    story: int | None
    in_story: Story | None
    heat: ExplainedHeat
    story_heat: ExplainedStoryHeat | None
    link_state: str | None
    revision: str | None
    aliases: list[RowDict]
    links_to: list[RowDict]
    named_by: list[RowDict]
    named_by_count: int


class ExplainedDocument(TypedDict):
    """A document, and whether it describes the article (`tells`) and is the one that the article shows (`shown`)."""

    source: str
    key: str
    revision: str
    retracted: bool
    tells: bool
    shown: bool
    changed_at: str


class Explanation(TypedDict):
    """What the store has about a document or an article. The lists have the newest rows first."""

    asked: str
    article: ExplainedArticle | None
    documents: list[ExplainedDocument]
    counts: dict[str, int]
    """The full lengths of `documents`, `receipts` and `dead_letters`."""
    receipts: list[RowDict]
    """See `_receipt`."""
    dead_letters: list[RowDict]
    """`dead_letter` (its number), `code`, `status`, and the `id` of its receipt."""


class FullExplanation(Explanation):
    """An explanation with what Redis has, and advice: the output of `copydesk explain --json`."""

    added_again_as: list[str]
    pending: list[PendingEntry]
    next: list[str]


def explain(
    connection: Connection, query: str, *, limit: int = MAX_ROWS, rules: AllRules = DEFAULT_RULES
) -> Explanation:
    """Return all that the store has about a receipt id, a URL or a producer's key; empty lists if it has nothing.

    The lists have at most `limit` rows. `rules`: by which the heat is explained.
    """
    lane_names = {INTERNAL_LANE, *connection.scalars(select(lanes.c.name))}
    has_id = receipts.c.lane.in_(lane_names) & (receipts.c.id == query)
    with_id = connection.execute(newest(select(receipts).where(has_id))).all()
    document_ids = {row.document_id for row in with_id if row.document_id is not None}
    has_key = documents.c.key.in_({query, normal_key(query)})
    article = _article_row(connection, query, with_id, has_key | documents.c.id.in_(document_ids))
    is_part = _document_condition(connection, article, has_key, document_ids)
    selected = select(documents).where(is_part).order_by(documents.c.revision.desc()).limit(limit)
    described = connection.execute(selected).all()
    described = [*described, *_retractions(connection, described)]
    is_receipt = or_(has_id, receipts.c.key == query, receipts.c.document_id.in_([row.id for row in described]))
    is_dead = dead_letters.c.id.in_(_dead_letter_ids(lane_names, query, is_receipt))
    columns = (
        dead_letters.c.id.label("dead_letter"),
        dead_letters.c.code,
        dead_letters.c.status,
        dead_letters.c.receipt_id.label("id"),
    )
    rejected = select(*columns).where(is_dead).order_by(dead_letters.c.id.desc()).limit(limit)
    return Explanation(
        asked=query,
        article=_article(connection, article, rules) if article is not None else None,
        documents=[_document(row, article) for row in described],
        counts={
            "documents": count(connection, documents, is_part),
            "receipts": count(connection, receipts, is_receipt),
            "dead_letters": count(connection, dead_letters, is_dead),
        },
        receipts=[_receipt(row) for row in connection.execute(newest(select(receipts).where(is_receipt), limit))],
        dead_letters=rows(connection, rejected),
    )


def _article_row(
    connection: Connection, query: str, with_id: Sequence[AnyRow], is_document: ColumnElement[bool]
) -> AnyRow | None:
    """Return the article of a URL, else that of the receipts, else that of the newest live document."""
    article = article_at(connection, query)
    if article is None and with_id and with_id[0].article_id is not None:
        article = _one_article(connection, articles.c.id == with_id[0].article_id)
    if article is None:
        live = select(documents.c.article_hash).where(is_document, ~documents.c.retracted)
        hash_ = connection.scalar(live.order_by(documents.c.revision.desc()).limit(1))
        article = _one_article(connection, articles.c.url_hash == hash_) if hash_ is not None else None
    return article


def _one_article(connection: Connection, where: ColumnElement[bool]) -> AnyRow | None:
    return connection.execute(select(articles).where(where)).first()


def _document_condition(
    connection: Connection, article: AnyRow | None, has_key: ColumnElement[bool], ids: set[int]
) -> ColumnElement[bool]:
    """Select the documents with the key or one of the ids, and those that describe the article or did before.

    Documents that described it before were retracted or moved to another URL.
    """
    if article is None:
        return or_(has_key, documents.c.id.in_(ids))
    before = select(receipts.c.document_id).where(receipts.c.article_id == article.id).distinct().limit(MAX_ROWS)
    ids = ids | {id_ for id_ in connection.scalars(before) if id_ is not None}
    return or_(has_key, documents.c.id.in_(ids), documents.c.article_hash == article.url_hash)


def _retractions(connection: Connection, described: Sequence[AnyRow]) -> Sequence[AnyRow]:
    """Return the documents that hold the retraction, by the same source, of a URL that retracted documents showed.

    Their receipts explain the retraction.
    """
    ids, sources = [row.id for row in described], {row.source for row in described if row.retracted}
    if not sources:
        return []
    has_url = receipts.c.document_id.in_(ids) & receipts.c.url.is_not(None)
    urls = list(connection.scalars(select(receipts.c.url).where(has_url).distinct().limit(MAX_ROWS)))
    by_url = documents.c.key.in_(urls) & documents.c.source.in_(sources) & documents.c.url_retraction.is_not(None)
    return connection.execute(select(documents).where(by_url, documents.c.id.not_in(ids)).limit(MAX_ROWS)).all()


def _dead_letter_ids(lane_names: set[str], query: str, is_receipt: ColumnElement[bool]) -> CompoundSelect[int]:
    """Select the ids of the dead letters of receipt `query` and of the other receipts, by the unique index."""
    own = select(dead_letters.c.id).where(dead_letters.c.lane.in_(lane_names), dead_letters.c.receipt_id == query)
    same = (dead_letters.c.lane == receipts.c.lane) & (dead_letters.c.receipt_id == receipts.c.id)
    rejected = select(dead_letters.c.id).join(receipts, same).where(is_receipt, receipts.c.outcome == "rejected")
    return union(own, rejected)


def _article(connection: Connection, row: AnyRow, rules: AllRules) -> ExplainedArticle:
    in_story = story(connection, row.story_id)
    return ExplainedArticle(
        id=row.id,
        url=row.canonical_url,
        state=article_state(row),
        kind=row.kind,
        title=row.title,
        published_at=iso(row.published_at),
        story=row.story_id,
        in_story=in_story,
        heat=explain_heat(connection, row, rules),
        story_heat=explain_story_heat(connection, in_story, rules),
        link_state=row.link_state,
        revision=row.revision,
        aliases=rows(connection, aliases(row.id)),
        links_to=[_link(link) for link in rows(connection, outgoing_links(row.id).limit(MAX_ROWS))],
        named_by=[_link(link) for link in rows(connection, incoming_links(row.id, MAX_ROWS))],
        named_by_count=count(connection, links, named_by(row.id)),
    )


def _link(row: RowDict) -> RowDict:
    return {name: row[name] for name in _LINK_FIELDS}


def _document(row: AnyRow, article: AnyRow | None) -> ExplainedDocument:
    return ExplainedDocument(
        source=row.source,
        key=row.key,
        revision=row.revision,
        retracted=row.retracted,
        tells=article is not None and article.url_hash == row.article_hash,
        shown=article is not None and article.document_id == row.id,
        changed_at=row.changed_at.isoformat(),
    )


def _receipt(row: AnyRow) -> RowDict:
    """Return a receipt's columns, `took_seconds` from arrival to outcome, and `waited_seconds` before its batch began."""
    # `settled_at` is the time when the transaction began. The time after that is in the timings.
    within = sum(row.timings.get(stage, 0) for stage in ("prepare", "turn", "store")) / 1000
    took = round(max(0.0, (row.settled_at - row.received_at).total_seconds() + within), 3)
    waited = round(max(0.0, took - sum(row.timings.values()) / 1000), 3)
    columns = {name: getattr(row, name) for name in _RECEIPT_FIELDS}
    times = {"received_at": row.received_at.isoformat(), "settled_at": row.settled_at.isoformat()}
    return {**columns, **times, "took_seconds": took, "waited_seconds": waited}
