"""Convert an enriched document to rows of `articles` and `images`. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from worker.enrichment.enriched_document import EnrichedDocument, ImageRef, Mention, ProviderRef
from worker.enrichment.image_choice import best_image, image_hash

PIPELINE_VERSION = 4
"""Increase it when enrichment stores something else for the same document. `reprocess` updates older articles."""

SHOWN = (
    "canonical_url", "kind", "category", "title", "excerpt", "body", "published_at", "updated_at", "provider_id",
    "provider_name", "language", "duration_seconds", "starts_at", "ends_at", "details", "image_url", "quality",
    "reported_heat", "heat", "reported_published", "is_published", "lead_id", "related_count", "outranked_by", "is_stub",
    "orphaned_at",
    "secured", "extra", "content_hash", "document_id", "named_by", "revision", "pipeline_version", "link_state",
    "changed_at",
)  # fmt: skip
"""The columns that are written when an article shows another document or version. The others keep their values."""


def blank(url_hash: bytes, now: datetime) -> dict[str, Any]:
    """Return the row of an article without content."""
    return {
        **dict.fromkeys(SHOWN),
        "url_hash": url_hash,
        "first_seen_at": now,
        "changed_at": now,
        "is_stub": True,
        "extra": {},
        "details": {},
        "revision": "",
        "link_state": "none",
    }


def published_columns(
    copy: EnrichedDocument,
    *,
    title: str | None,
    document_id: int,
    revision: str,
    version: int | None,
    provider_id: int | None,
    placeholders: Collection[bytes],
    now: datetime,
) -> dict[str, Any]:
    """Return the row of an article that has a live document.

    Heat is computed when the article's links are known (`apply/heat.py`). `version`: the pipeline version of the
    document. `placeholders`: the URL hashes of images that cannot be the best one.
    """
    return {
        **blank(copy.url_hash, now),
        "canonical_url": copy.canonical_url,
        "kind": copy.kind,
        "category": copy.category,
        "title": title,
        "excerpt": copy.excerpt,
        "body": copy.body,
        "published_at": copy.published_at,
        "updated_at": copy.updated_at,
        "provider_id": provider_id,
        "provider_name": _name(copy.provider, copy.extra),
        "language": copy.language,
        "duration_seconds": copy.duration_seconds,
        "starts_at": copy.starts_at,
        "ends_at": copy.ends_at,
        "details": copy.details,
        "image_url": best_image(copy.images, placeholders),
        "quality": copy.quality,
        "reported_heat": copy.reported_heat,
        "heat": copy.reported_heat,
        "reported_published": copy.reported_published,
        "is_published": copy.reported_published,
        "related_count": copy.related_count,
        "outranked_by": copy.outranked_by,
        "is_stub": False,
        "secured": copy.secured,
        "extra": copy.extra,
        "content_hash": copy.content_hash,
        "document_id": document_id,
        "revision": revision,
        "pipeline_version": version,
        "link_state": "pending",
    }


def stub(
    mention: Mention,
    *,
    named_by: int,
    revision: str,
    provider_id: int | None,
    placeholders: Collection[bytes],
    now: datetime,
) -> dict[str, Any]:
    """Return the row of an article that is known only because others name it.

    `named_by`: the article whose entry it shows.
    """
    return {
        **blank(mention.url_hash, now),
        "canonical_url": mention.url,
        "kind": mention.kind,
        "title": mention.title,
        "excerpt": mention.excerpt,
        "published_at": mention.published_at,
        "provider_id": provider_id,
        "provider_name": _name(mention.provider, mention.extra),
        "image_url": best_image(mention.images, placeholders),
        "quality": mention.quality,
        "extra": mention.extra,
        "named_by": named_by,
        "revision": revision,
        "link_state": "pending",
    }


def orphan(url_hash: bytes, canonical_url: str | None, now: datetime) -> dict[str, Any]:
    """Return the row of an article that no document describes and no article names any more."""
    return {
        **blank(url_hash, now),
        "canonical_url": canonical_url,
        "orphaned_at": now,
        "link_state": "pending",  # the linker removes its links
    }


def _name(provider: ProviderRef | None, extra: dict[str, Any]) -> str | None:
    """Return the provider's name in the document; also of one without a domain, which has no row in `providers`."""
    if provider is not None:
        return provider.name
    rest = extra.get("provider")
    return rest.get("name") if isinstance(rest, dict) else None


def image_rows(article_id: int, images: list[ImageRef], placeholders: Collection[bytes]) -> list[dict[str, Any]]:
    """Return the rows of an article's images, in their order."""
    return [
        {
            "article_id": article_id,
            "rank": rank,
            "url": image.url,
            "width": image.width,
            "height": image.height,
            "is_cached": image.is_cached,
            "title": image.title,
            "url_hash": (digest := image_hash(image.url)),
            "is_placeholder": digest in placeholders,
        }
        for rank, image in enumerate(images)
    ]
