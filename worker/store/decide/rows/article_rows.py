"""Convert an enriched document to the rows of its article. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from worker.enrichment.document_json import document_to_json
from worker.enrichment.enriched_document import EnrichedDocument, ImageRef, Mention, ProviderRef
from worker.enrichment.image_choice import best_image, image_hash
from worker.enrichment.reference_documents import ReferenceCopy
from worker.store.decide.stored import Row

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


STUB = (
    "canonical_url", "kind", "title", "excerpt", "published_at", "provider_id", "provider_name", "image_url", "quality",
    "extra", "named_by", "revision", "orphaned_at", "link_state", "changed_at",
)  # fmt: skip
"""The columns in which the rows of two stubs differ."""


class NotPrepared(Exception):
    """Raised when a decision needs a provider or a topic that has no row yet: create it, then decide again."""

    def __init__(self, content: EnrichedDocument | ReferenceCopy) -> None:
        super().__init__("a provider or topic of a document has no row")
        self.content = content


class Shared(Protocol):
    """What the rows of an article take from rows that many articles share. Raises KeyError for a missing row."""

    def title(self, title: str | None, provider: ProviderRef | None) -> str | None: ...

    def inferred_topics(self, title: str | None, excerpt: str | None) -> list[str]: ...

    def provider_id(self, domain: str) -> int: ...

    def topic_id(self, name: str) -> int: ...


@dataclass(slots=True)
class ArticleParts:
    """The rows of an article that depend on its document alone, without ids and without what images decide.

    `claims`: (claim, url_hash) → URL. `topics`: topic id → (rank, origin). `links`: (kind, target_hash) → rank.
    `stub_providers`: provider ids of the entries of `related`, by domain.
    """

    copy: EnrichedDocument
    title: str | None
    row: Row
    claims: dict[tuple[str, bytes], str]
    topics: dict[int, tuple[int, str]]
    links: dict[tuple[str, bytes], int]
    mentions: dict[bytes, Mention]
    stub_providers: dict[str, int]
    image_hashes: list[bytes]

    @property
    def url_hash(self) -> bytes:
        return self.copy.url_hash

    @property
    def content_hash(self) -> bytes:
        return self.copy.content_hash

    @property
    def form(self) -> str:
        return self.copy.form or document_to_json(self.copy)

    def child_rows(self, marked: Collection[bytes]) -> dict[str, dict[Key, Values]]:
        """Return the wanted child rows by table and key, links without their target. `marked`: placeholder images."""
        return {
            "article_urls": {key: (url,) for key, url in self.claims.items()},
            "images": image_rows(self.copy.images, marked),
            "article_topics": {(id_,): values for id_, values in self.topics.items()},
            "links": {key: (rank,) for key, rank in self.links.items()},
        }


Key = tuple[object, ...]
Values = tuple[object, ...]


def parts_of(copy: EnrichedDocument, shared: Shared) -> ArticleParts:
    """Return the rows of an article that shows `copy`. Raises NotPrepared."""
    title = shared.title(copy.title, copy.provider)
    mentions: dict[bytes, Mention] = {}
    for mention in copy.related:
        mentions.setdefault(mention.url_hash, mention)
    try:
        provider_id = shared.provider_id(copy.provider.domain) if copy.provider else None
        topics = _topics(copy, title, shared)
        domains = {mention.provider.domain for mention in mentions.values() if mention.provider}
        stub_providers = {domain: shared.provider_id(domain) for domain in domains}
    except KeyError:
        raise NotPrepared(copy) from None
    claims: dict[tuple[str, bytes], str] = {}
    for claim in copy.claims:
        claims.setdefault((claim.claim, claim.url_hash), claim.url)
    links: dict[tuple[str, bytes], int] = {}
    for kind, targets in (("related", [one.url_hash for one in copy.related]), ("contains", copy.contains)):
        for rank, target_hash in enumerate(targets):
            links.setdefault((kind, target_hash), rank)
    hashes = [image_hash(image.url) for image in copy.images]
    row = _published_row(copy, title, provider_id)
    return ArticleParts(copy, title, row, claims, topics, links, mentions, stub_providers, hashes)


def _topics(copy: EnrichedDocument, title: str | None, shared: Shared) -> dict[int, tuple[int, str]]:
    """Return the topics of an article: those that the document states, then those found in its text."""
    topics: dict[int, tuple[int, str]] = {}
    for origin, names in (("stated", copy.topics), ("inferred", shared.inferred_topics(title, copy.excerpt))):
        for rank, name in enumerate(names):
            topics.setdefault(shared.topic_id(name), (rank, origin))
    return topics


def _published_row(copy: EnrichedDocument, title: str | None, provider_id: int | None) -> Row:
    return {
        **dict.fromkeys(SHOWN),
        "canonical_url": copy.canonical_url,
        "kind": copy.kind,
        "category": copy.category,
        "title": title,
        "excerpt": copy.excerpt,
        "body": copy.body,
        "published_at": copy.published_at,
        "updated_at": copy.updated_at,
        "provider_id": provider_id,
        "provider_name": provider_name(copy.provider, copy.extra),
        "language": copy.language,
        "duration_seconds": copy.duration_seconds,
        "starts_at": copy.starts_at,
        "ends_at": copy.ends_at,
        "details": copy.details,
        "quality": copy.quality,
        "reported_heat": copy.reported_heat,
        "heat": copy.reported_heat,
        "reported_published": copy.reported_published,
        "is_published": copy.reported_published,
        "related_count": copy.related_count,
        "outranked_by": copy.outranked_by,
        "is_stub": False,
        "extra": copy.extra,
        "content_hash": copy.content_hash,
        "link_state": "pending",
    }


def stub_row(
    mention: Mention, *, named_by: int, revision: str, provider_id: int | None, marked: Collection[bytes], now: datetime
) -> Row:
    """Return the columns `STUB` of an article that is known only because others name it.

    `named_by`: the article whose entry it shows. `marked`: images that are placeholders.
    """
    return {
        "canonical_url": mention.url,
        "kind": mention.kind,
        "title": mention.title,
        "excerpt": mention.excerpt,
        "published_at": mention.published_at,
        "provider_id": provider_id,
        "provider_name": provider_name(mention.provider, mention.extra),
        "image_url": best_image(mention.images, marked) if mention.images else None,
        "quality": mention.quality,
        "extra": mention.extra,
        "named_by": named_by,
        "revision": revision,
        "orphaned_at": None,
        "link_state": "pending",
        "changed_at": now,
    }


def orphan_row(canonical_url: str | None, now: datetime) -> Row:
    """Return the columns `STUB` of an article that no document describes and no article names any more."""
    return {
        **dict.fromkeys(STUB),
        "canonical_url": canonical_url,
        "extra": {},
        "revision": "",
        "orphaned_at": now,
        "link_state": "pending",  # the linker removes its links
        "changed_at": now,
    }


def emptied_row(stub: Row) -> Row:
    """Return all columns `SHOWN` for an article that becomes a stub: those of a source document are cleared."""
    return {**dict.fromkeys(SHOWN), "is_stub": True, "details": {}, **stub}


def provider_name(provider: ProviderRef | None, extra: Mapping[str, object]) -> str | None:
    """Return the provider's name in the document; also of one without a domain, which has no row in `providers`."""
    if provider is not None:
        return provider.name
    rest = extra.get("provider")
    return rest.get("name") if isinstance(rest, dict) else None


def image_rows(images: Sequence[ImageRef], marked: Collection[bytes]) -> dict[Key, Values]:
    """Return rank → the other columns (`IMAGE_VALUES`) of each image of an article."""
    return {
        (rank,): (
            image.url,
            image.width,
            image.height,
            image.is_cached,
            image.title,
            (digest := image_hash(image.url)),
            digest in marked,
        )
        for rank, image in enumerate(images)
    }
