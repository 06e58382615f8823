"""Do one step of the pending background work: a bounded number of articles, in one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.engine import Connection

from worker.enrichment.document_json import document_from_json
from worker.enrichment.enriched_document import EnrichedDocument
from worker.heat_rules import AllRules
from worker.store.apply.articles import refresh, topic_rows
from worker.store.apply.provider_references import load_references
from worker.store.apply.retractions import reach_more
from worker.store.apply.shared_names import count_names
from worker.store.apply.work import next_work
from worker.store.engine import enter_writer
from worker.store.sql.statements import fetch, fetch_from, merge, remove
from worker.store.tables import article_topics, articles, documents, enrichment_work

_INFERRED = article_topics.c.origin == "inferred"
_FOUND = select(article_topics.c.article_id, article_topics.c.topic_id).where(_INFERRED)
STEP_ARTICLES = 200
"""Articles a step. A step takes about 0.1 s, which is how long a live batch may have to wait for it."""


def work_step(connection: Connection, now: datetime, rules: AllRules) -> int | None:
    """Do one step of the oldest work; returns how many articles it processed, or None when no work is left.

    It takes the writer lock, so that no batch writes an article with an older reference meanwhile. For a retraction
    it returns the number of documents instead, for names 0.
    """
    enter_writer(connection)
    work = next_work(connection)
    if work is None:
        return None
    this = (enrichment_work.c.kind == work.kind, enrichment_work.c.subject_id == work.subject_id)
    if work.kind == "names":
        count_names(connection, work.subject_id)
        connection.execute(delete(enrichment_work).where(*this))
        return 0
    if work.kind == "retract":
        url, reached, more = reach_more(connection, work.subject_id)
        refresh(connection, {url}, {}, now, rules=rules, documents=reached)
        if not more:
            connection.execute(delete(enrichment_work).where(*this))
        return len(reached)
    query = select(articles.c.id).where(articles.c.id > work.cursor, ~articles.c.is_stub)
    if work.subject_id:
        query = query.where(articles.c.provider_id == work.subject_id)
    ids = list(connection.scalars(query.order_by(articles.c.id).limit(STEP_ARTICLES)))
    _reenrich(connection, ids, now, rules)
    if len(ids) < STEP_ARTICLES:
        connection.execute(delete(enrichment_work).where(*this))
    else:
        values = {"cursor": ids[-1], "done": work.done + len(ids)}
        connection.execute(update(enrichment_work).where(*this).values(values))
    return len(ids)


def _reenrich(connection: Connection, ids: list[int], now: datetime, rules: AllRules) -> None:
    """Update titles and inferred topics of articles by the current reference documents."""
    references = load_references(connection)
    columns = (articles.c.id, articles.c.url_hash, articles.c.title, articles.c.document_id)
    rows = fetch(connection, columns, articles.c.id, ids)
    copies = {row.id: document_from_json(row.form, row.secured) for row in fetch(
        connection, (documents.c.id, documents.c.form, documents.c.secured), documents.c.id,
        {row.document_id for row in rows})}  # fmt: skip
    retitled: dict[bytes, int] = {}
    stored: list[tuple[int, EnrichedDocument, list[str]]] = []
    for row in rows:
        copy = copies[row.document_id]
        title = references.title(copy.title, copy.provider)
        if title != row.title:
            retitled[row.url_hash] = row.document_id
        else:
            stored.append((row.id, copy, references.finder.find(title, copy.excerpt)))
    _write_found_topics(connection, stored)
    if retitled:
        again = {document_id: copies[document_id] for document_id in retitled.values()}
        refresh(connection, retitled, again, now, rules=rules)


def _write_found_topics(connection: Connection, looked_at: list[tuple[int, EnrichedDocument, list[str]]]) -> None:
    """Replace the inferred topics of articles by those found now."""
    column = article_topics.c.article_id
    before: dict[int, set[int]] = {}
    for row in fetch_from(connection, _FOUND, column, [id_ for id_, _, _ in looked_at]):
        before.setdefault(row.article_id, set()).add(row.topic_id)
    wanted: list[tuple[int, list[str], list[str]]] = [
        (id_, copy.topics, found) for id_, copy, found in looked_at if found or id_ in before
    ]
    remove(connection, article_topics, column, [id_ for id_, _, _ in wanted], _INFERRED)
    # `merge` leaves existing rows alone, so a stated topic stays stated.
    merge(connection, article_topics, _distinct(topic_rows(connection, wanted)), ["article_id", "topic_id"])


def _distinct(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first row of each topic of an article.

    With two rows in one statement the database would choose one.
    """
    first: dict[tuple[int, int], dict[str, Any]] = {}
    for row in rows:
        first.setdefault((row["article_id"], row["topic_id"]), row)
    return list(first.values())
