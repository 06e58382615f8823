"""Store many documents at once, by common best practice: CSafeLoader, pydantic, multi-row upserts in SQLAlchemy Core.

The upserts are SQLAlchemy 2's "insertmanyvalues": one `execute` of a list of rows, compiled once and sent a thousand at a time.
"""

from __future__ import annotations

import gc
import logging
import re
from collections.abc import Iterable
from typing import Any

import yaml
from pydantic import ValidationError
from sqlalchemy import Column, Connection, delete, select

from tests.benchmarks.peers import model, schema
from tests.benchmarks.peers.schema import engine

log = logging.getLogger(__name__)
_MATTER = re.compile(r"---\s*\n(.*?)\n---\s*\n(.*)", re.DOTALL)

# Use tables, not entities: entities take the slower path of the ORM's bulk statements.
articles, article_topics, images, links, providers, topics = (
    entity.__table__
    for entity in (schema.Article, schema.ArticleTopic, schema.Image, schema.Link, schema.Provider, schema.Topic)
)
_PARTS = {"provider", "images", "topics", "related"}
_OF_DOCUMENTS_ALONE = dict.fromkeys(("category", "heat", "published", "secured", "body"))

Read = tuple[model.Document, str]


def collect_less() -> None:
    """Call this at the start of a worker process: the cyclic collector ignores what is already loaded and runs seldom."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def read(raws: Iterable[str]) -> list[Read]:
    """Parse and validate. An invalid document is logged. Of several documents with one URL the last is used."""
    documents: dict[str, Read] = {}
    for raw in raws:
        try:
            matter = _MATTER.match(raw)
            if matter is None:
                raise yaml.YAMLError("no front matter")
            document = model.Document.model_validate(yaml.load(matter[1], yaml.CSafeLoader))
        except (yaml.YAMLError, ValidationError) as error:
            log.warning("bad document: %s", error)
        else:
            documents[document.url] = (document, matter[2])
    return list(documents.values())


def ingest(raws: Iterable[str]) -> None:
    documents = read(raws)
    if documents:
        with engine().begin() as connection:
            store(connection, documents)


def store(connection: Connection, documents: list[Read]) -> None:
    bodies = {document.url: body for document, body in documents}
    named = {one.url: one for document, _ in documents for one in document.related if one.url not in bodies}
    ids = _ids(connection, articles.c.url, named)
    stubs = [one for url, one in named.items() if url not in ids]
    described: list[Any] = [*(document for document, _ in documents), *stubs]
    provider_ids = _get_or_create(
        connection,
        providers.c.domain,
        {one.provider.domain: one.provider.model_dump() for one in described if one.provider},
    )
    topic_ids = _get_or_create(
        connection, topics.c.name, {name: {"name": name} for document, _ in documents for name in document.topics}
    )
    rows = {
        one.url: {
            **_OF_DOCUMENTS_ALONE,
            **one.model_dump(exclude=_PARTS),
            "provider_id": provider_ids[one.provider.domain] if one.provider else None,
            "is_stub": one.url not in bodies,
            "body": bodies.get(one.url),
        }
        for one in described
    }
    ids |= _upsert_articles(connection, rows)
    ids |= _ids(connection, articles.c.url, rows.keys() - ids.keys())  # another process has inserted a stub first

    mine = [ids[url] for url in bodies]
    for column in (links.c.source_id, article_topics.c.article_id, images.c.article_id):
        connection.execute(delete(column.table).where(column.in_(mine)))
    _insert(connection, links.c.rank, [
        {"source_id": ids[document.url], "target_id": ids[other.url], "rank": rank}
        for document, _ in documents
        for rank, other in enumerate(document.related)
    ])  # fmt: skip
    _insert(connection, article_topics.c.topic_id, [
        {"article_id": ids[document.url], "topic_id": topic_ids[name]}
        for document, _ in documents
        for name in set(document.topics)
    ])  # fmt: skip
    _insert(
        connection,
        images.c.id,
        [{"article_id": ids[one.url], **image.model_dump()} for one in described for image in one.images],
    )


def _get_or_create(connection: Connection, key: Column[str], rows: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Return the id of each row by its key. Existing rows are not changed."""
    ids = _ids(connection, key, rows)
    new = sorted(rows.keys() - ids.keys())
    if new:
        _insert(connection, key, [rows[name] for name in new])
        ids |= _ids(connection, key, new)
    return ids


def _ids(connection: Connection, key: Column[str], wanted: Iterable[str]) -> dict[str, int]:
    wanted = list(wanted)
    if not wanted:
        return {}
    return dict(connection.execute(select(key, key.table.c.id).where(key.in_(wanted))).all())


def _upsert_articles(connection: Connection, rows: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Upsert documents and stubs together, ordered by URL: with two statements, processes would deadlock."""
    statement = schema.insert(articles)
    # The URL is left out: PostgreSQL locks a row whose key is set against all that refer to it, even if the key stays
    # the same.
    changed = {name: statement.excluded[name] for name in next(iter(rows.values())) if name != "url"}
    statement = statement.on_conflict_do_update(
        index_elements=[articles.c.url], set_=changed, where=statement.excluded.is_stub.is_(False)
    ).returning(articles.c.url, articles.c.id)
    return dict(connection.execute(statement, [rows[url] for url in sorted(rows)]).all())


def _insert(connection: Connection, returned: Column[Any], rows: list[dict[str, Any]]) -> None:
    """Insert the rows that do not exist. Only with RETURNING does SQLAlchemy send the rows together, not one by one."""
    if rows:
        statement = schema.insert(returned.table).on_conflict_do_nothing().returning(returned)
        connection.execute(statement, rows).close()
