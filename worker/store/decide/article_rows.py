"""An edited copy as the rows that show it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from worker.enrichment.enriched_document import EnrichedDocument, ImageRef, Mention, ProviderRef
from worker.enrichment.image_choice import best_image, image_hash

PIPELINE_VERSION = 3
"""Raised when enrichment changes what is stored of the same document; `reprocess` brings older articles up to it."""

SHOWN = (
    "canonical_url", "kind", "category", "title", "excerpt", "body", "published_at", "updated_at", "provider_id",
    "provider_name", "language", "duration_seconds", "starts_at", "ends_at", "details", "image_url", "quality",
    "reported_heat", "heat", "reported_published", "is_published", "lead_id", "related_count", "outranked_by", "is_stub",
    "orphaned_at",
    "secured", "extra", "content_hash", "document_id", "named_by", "revision", "pipeline_version", "link_state",
    "changed_at",
)  # fmt: skip
"""The columns that change when an article shows something else; the rest stays with the row for ever."""


def blank(url_hash: bytes, now: datetime) -> dict[str, Any]:
    """An article that shows nothing yet."""
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
    """The row of an article that a live document tells. Heat is judged when its links are known (`store.heat`)."""
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
    """The row of an article that is only named by others."""
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
    """The row of an article that nobody tells or names any more."""
    return {
        **blank(url_hash, now),
        "canonical_url": canonical_url,
        "orphaned_at": now,
        "link_state": "pending",  # the linker takes its links back
    }


def _name(provider: ProviderRef | None, extra: dict[str, Any]) -> str | None:
    """The provider's name as the document says it, also of one without a domain, which is no provider of the desk's."""
    if provider is not None:
        return provider.name
    rest = extra.get("provider")
    return rest.get("name") if isinstance(rest, dict) else None


def image_rows(article_id: int, images: list[ImageRef], placeholders: Collection[bytes]) -> list[dict[str, Any]]:
    """The images of an article, in their order."""
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
