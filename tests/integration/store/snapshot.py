"""The store as a value: everything that must be a function of the latest versions, without ids, receipts and times."""

from sqlalchemy import select

from worker.store.consistency import check_rows
from worker.store.tables import (  # fmt: skip
    article_topics,
    article_urls,
    articles,
    documents,
    images,
    links,
    placeholder_images,
    providers,
    topics,
)

_SHOWN = (
    "canonical_url", "kind", "category", "title", "excerpt", "body", "published_at", "updated_at", "language", "quality",
    "reported_heat", "reported_published", "heat", "is_published", "provider_name", "image_url", "duration_seconds",
    "starts_at", "ends_at", "details", "related_count", "outranked_by", "pipeline_version", "is_stub", "secured", "extra", "content_hash", "revision",
)  # fmt: skip


def snapshot(connection):
    rows = connection.execute(select(articles)).mappings().all()
    hash_of = {row["id"]: row["url_hash"].hex() for row in rows}
    domain = dict(connection.execute(select(providers.c.id, providers.c.domain)).all())
    topic = dict(connection.execute(select(topics.c.id, topics.c.slug)).all())
    document_rows = connection.execute(select(documents)).mappings().all()
    document_of = {row["id"]: (row["source"], row["key"]) for row in document_rows}
    alive = {row["id"] for row in rows if row["orphaned_at"] is None}
    shown = {
        row["url_hash"].hex(): {
            **{name: row[name] for name in _SHOWN},
            "provider": domain.get(row["provider_id"]),
            "teller": document_of.get(row["document_id"]),
            "named_by": hash_of.get(row["named_by"]),
            "lead": hash_of.get(row["lead_id"]),
        }
        for row in rows
        if row["id"] in alive
    }
    return {
        "articles": shown,
        "orphans that show something": [
            row["title"] for row in rows if row["id"] not in alive and (row["title"] or not row["is_stub"])
        ],
        "documents": {
            (row["source"], row["key"]): (row["revision"], row["retracted"], row["article_hash"], row["content_hash"], row["secured"])
            for row in document_rows
        },
        "urls": sorted(
            (hash_of[row.article_id], row.claim, row.url_hash.hex(), row.url) for row in connection.execute(select(article_urls))
        ),
        "links": sorted(
            (hash_of[row.source_id], row.kind, row.target_hash.hex(), hash_of.get(row.target_id, ""), row.rank)
            for row in connection.execute(select(links))
        ),
        "images": sorted((hash_of[row.article_id], row.rank, row.url, row.is_placeholder) for row in connection.execute(select(images))),
        "topics": sorted(
            (hash_of[row.article_id], topic[row.topic_id], row.rank, row.origin)
            for row in connection.execute(select(article_topics))
        ),
        "providers": sorted(
            (row.domain, row.name or "", row.other_names, document_of.get(row.document_id, ()))
            for row in connection.execute(select(providers))
            if row.document_id or row.name or row.other_names
        ),
        "reference topics": sorted(
            (row.slug, row.keywords, topic.get(row.parent_id), document_of[row.document_id])
            for row in connection.execute(select(topics).where(topics.c.document_id.is_not(None)))
        ),
        "placeholders": sorted(row.url for row in connection.execute(select(placeholder_images))),
    }  # fmt: skip


def broken_rules(engine):
    """Return the names of the rules about rows that the store breaks. To compare the schema too would take four times as long."""
    with engine.connect() as connection:
        return {finding.check for finding in check_rows(connection) if finding.count}
