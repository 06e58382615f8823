"""Store one document in the simplest way: python-frontmatter, pydantic, upserts through the ORM, one transaction."""

from __future__ import annotations

import logging
import os
from functools import cache

import frontmatter
import redis
import yaml
from pydantic import ValidationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from tests.benchmarks.peers import model, schema
from tests.benchmarks.peers.schema import Article, ArticleTopic, Image, Link, Provider, Topic, engine

log = logging.getLogger(__name__)


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])


def ingest(raw: str) -> None:
    """Store one document. An invalid one is logged. Counts it for the benchmark, after the commit."""
    try:
        post = frontmatter.loads(raw)
        document = model.Document.model_validate(post.metadata)
    except (yaml.YAMLError, ValidationError) as error:
        log.warning("bad document: %s", error)
    else:
        with Session(engine()) as session, session.begin():
            store(session, document, post.content)
    _redis().incr("bench:done")


def store(session: Session, document: model.Document, body: str) -> None:
    provider = _provider(session, document.provider)
    values = document.model_dump(exclude={"provider", "images", "topics", "related"})
    id_ = _upsert(session, Article, "url", **values, body=body, is_stub=False, provider_id=provider)
    for column in (Link.source_id, ArticleTopic.article_id, Image.article_id):
        session.execute(delete(column.class_).where(column == id_))
    for name in sorted(set(document.topics)):
        session.add(ArticleTopic(article_id=id_, topic_id=_get_or_create(session, Topic, "name", name=name)))
    _add_images(session, id_, document.images)
    for rank, other in sorted(enumerate(document.related), key=lambda pair: pair[1].url or ""):
        target = session.scalar(select(Article.id).filter_by(url=other.url))
        if target is None:  # the article's own document has better values, so an existing row is not changed
            provider = _provider(session, other.provider)
            stub = {**other.model_dump(exclude={"provider", "images"}), "is_stub": True, "provider_id": provider}
            target = _get_or_create(session, Article, "url", **stub)
            _add_images(session, target, other.images)
        session.add(Link(source_id=id_, target_id=target, rank=rank))


def _provider(session: Session, stated: model.Provider | None) -> int | None:
    return _get_or_create(session, Provider, "domain", domain=stated.domain, name=stated.name) if stated else None


def _add_images(session: Session, article_id: int, images: list[model.Image]) -> None:
    session.add_all(Image(article_id=article_id, **image.model_dump()) for image in images)


def _get_or_create(session: Session, table: type, key: str, **values: object) -> int:
    wanted = select(table.id).where(getattr(table, key) == values[key])
    found = session.scalar(wanted)
    if found is None:
        made = schema.insert(table).values(**values).on_conflict_do_nothing().returning(table.id)
        found = session.scalar(made) or session.scalar(wanted)
    return found


def _upsert(session: Session, table: type, key: str, **values: object) -> int:
    # The key is left out: PostgreSQL locks a row whose key is set against all that refer to it, even if the key stays
    # the same.
    changed = {name: value for name, value in values.items() if name != key}
    statement = schema.insert(table).values(**values).on_conflict_do_update(index_elements=[key], set_=changed)
    return session.scalar(statement.returning(table.id))
