"""Many documents at once, by the best common advice: CSafeLoader, pydantic, multi-row upserts in SQLAlchemy Core."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import yaml
from pydantic import ValidationError
from sqlalchemy import Connection, delete, select

from tests.benchmarks.peers import model, schema
from tests.benchmarks.peers.schema import Article, ArticleTopic, Image, Link, Provider, Topic, engine

log = logging.getLogger(__name__)
_MATTER = re.compile(r"---\s*\n(.*?)\n---\s*\n(.*)", re.DOTALL)
_PARAMETERS = 30_000  # both databases stop soon after

Read = tuple[model.Document, str]


def read(raws: Iterable[bytes]) -> list[Read]:
    """Parse and validate; a bad document is logged. The last of several with one URL counts."""
    documents: dict[str, Read] = {}
    for raw in raws:
        try:
            matter = _MATTER.match(raw.decode())
            if matter is None:
                raise yaml.YAMLError("no front matter")
            document = model.Document.model_validate(yaml.load(matter[1], yaml.CSafeLoader))
        except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
            log.warning("bad document: %s", error)
        else:
            documents[document.url] = (document, matter[2])
    return list(documents.values())


def ingest(raws: Sequence[bytes]) -> None:
    documents = read(raws)
    if documents:
        with engine().begin() as connection:
            store(connection, documents)


def store(connection: Connection, documents: list[Read]) -> None:
    told = [told for document, _ in documents for told in (document, *document.related)]
    providers = {one.provider.domain: one.provider.name for one in told if one.provider}
    provider_ids, _ = _get_or_create(
        connection, Provider, "domain", {domain: {"name": name} for domain, name in providers.items()}
    )
    topic_ids, _ = _get_or_create(
        connection, Topic, "name", {name: {} for document, _ in documents for name in document.topics}
    )

    def row(one: model.Told, **more: Any) -> dict[str, Any]:
        values = one.model_dump(exclude={"provider", "images", "topics", "related"})
        return {**values, "provider_id": provider_ids[one.provider.domain] if one.provider else None, **more}

    own = {document.url: row(document, body=body, is_stub=False) for document, body in documents}
    stubs = {
        other.url: row(other, is_stub=True)
        for document, _ in documents
        for other in document.related
        if other.url not in own
    }
    ids, new = _get_or_create(connection, Article, "url", stubs)
    changed = [name for name in next(iter(own.values())) if name != "url"]
    ids |= _upsert(connection, Article, "url", [own[url] for url in sorted(own)], changed)

    mine = [ids[url] for url in own]
    for column in (Link.source_id, ArticleTopic.article_id, Image.article_id):
        connection.execute(delete(column.class_).where(column.in_(mine)))
    links, topics, images = [], [], []
    shown = {document.url: document.images for document, _ in documents}
    for document, _ in documents:
        links += [
            {"source_id": ids[document.url], "target_id": ids[other.url], "rank": rank}
            for rank, other in enumerate(document.related)
        ]
        topics += [{"article_id": ids[document.url], "topic_id": topic_ids[name]} for name in set(document.topics)]
        shown.update({other.url: other.images for other in document.related if other.url in new})
    for url, pictures in shown.items():
        images += [{"article_id": ids[url], **image.model_dump()} for image in pictures]
    for table, rows in ((Link, links), (ArticleTopic, topics), (Image, images)):
        for part in _parts(rows, 5):
            connection.execute(schema.insert(table).values(part).on_conflict_do_nothing())


def _get_or_create(
    connection: Connection, table: Any, key: str, rows: dict[str, dict[str, Any]]
) -> tuple[dict[str, int], set[str]]:
    """The id of each row by its key, and the keys that are new. Rows that are there already stay as they are."""
    ids = _ids(connection, table, key, rows)
    new = sorted(rows.keys() - ids.keys())
    for part in _parts([{**rows[name], key: name} for name in new], 17):
        connection.execute(schema.insert(table).values(part).on_conflict_do_nothing())
    return ids | _ids(connection, table, key, new), set(new)


def _ids(connection: Connection, table: Any, key: str, wanted: Iterable[str]) -> dict[str, int]:
    column, ids = getattr(table, key), {}
    for part in _parts(list(wanted), 1):
        ids.update(connection.execute(select(column, table.id).where(column.in_(part))).all())
    return ids


def _upsert(
    connection: Connection, table: Any, key: str, rows: list[dict[str, Any]], changed: list[str]
) -> dict[str, int]:
    ids: dict[str, int] = {}
    for part in _parts(rows, 17):
        statement = schema.insert(table).values(part)
        statement = statement.on_conflict_do_update(
            index_elements=[key], set_={name: statement.excluded[name] for name in changed}
        )
        ids.update(connection.execute(statement.returning(getattr(table, key), table.id)).all())
    return ids


def _parts(rows: list[Any], width: int) -> Iterator[list[Any]]:
    size = _PARAMETERS // width
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
