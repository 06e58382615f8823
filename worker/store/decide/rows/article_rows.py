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

DECIDED = (
    "image_url", "heat", "is_published", "lead_id", "secured", "document_id", "revision", "pipeline_version", "changed_at",
)  # fmt: skip
"""Those of the columns `SHOWN` that other rows decide too."""

OF_DOCUMENT = tuple(name for name in SHOWN if name not in DECIDED)
"""Those of the columns `SHOWN` that the document of an article decides alone."""

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
    """What an article shows of its document alone, without ids. It is made before the writer lock is taken.

    `columns`: the values of `OF_DOCUMENT`. `image_url`: the best image if none is a placeholder. `children`: the rows of
    the child tables, links without their target, images as if none were a placeholder. `mentions`: the entries of
    `related` by the URL that they name, `items`: the hashes that it contains. `stub_providers`: provider ids of the
    entries of `related`, by domain. `image_hashes`: of its own images, `all_images`: with those of its entries.
    """

    copy: EnrichedDocument
    title: str | None
    provider_id: int | None
    columns: Values
    image_url: str | None
    children: dict[str, dict[Key, Values]]
    claimed: set[bytes]
    related: list[tuple[int, bytes]]
    mentions: dict[bytes, Mention]
    items: set[bytes]
    stub_providers: dict[str, int]
    image_hashes: set[bytes]
    all_images: set[bytes]

    @property
    def url_hash(self) -> bytes:
        return self.copy.url_hash

    @property
    def content_hash(self) -> bytes:
        return self.copy.content_hash

    @property
    def form(self) -> str:
        return self.copy.form or document_to_json(self.copy)

    @property
    def mention(self) -> tuple[int | None, str | None]:
        """The provider's id and its name in the document."""
        return self.provider_id, provider_name(self.copy.provider, self.copy.extra)

    def child_rows(self, marked: Collection[bytes]) -> dict[str, dict[Key, Values]]:
        """Return the wanted child rows by table and key, links without their target. `marked`: placeholder images."""
        if self.image_hashes.isdisjoint(marked):
            return self.children
        return {**self.children, "images": image_rows(self.copy.images, marked)}

    def best_image(self, marked: Collection[bytes]) -> str | None:
        """Return the URL of the best image. `marked`: placeholder images."""
        if self.image_hashes.isdisjoint(marked):
            return self.image_url
        return best_image(self.copy.images, marked)


Key = tuple[object, ...]
Values = tuple[object, ...]


def parts_of(copy: EnrichedDocument, shared: Shared) -> ArticleParts:
    """Return what an article that shows `copy` has of it. Raises NotPrepared."""
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
    row = _published_row(copy, title, provider_id)
    image_hashes = _image_hashes(copy.images)
    return ArticleParts(
        copy,
        title,
        provider_id,
        tuple([row.get(name) for name in OF_DOCUMENT]),
        best_image(copy.images, ()),
        {**_listed_rows(copy), "images": image_rows(copy.images, ()), "article_topics": topics},
        {claim.url_hash for claim in copy.claims},
        [
            (rank, mention.url_hash)
            for rank, mention in enumerate(copy.related)
            if mentions[mention.url_hash] is mention
        ],
        mentions,
        set(copy.contains),
        stub_providers,
        image_hashes,
        image_hashes.union(*(_image_hashes(mention.images) for mention in mentions.values())),
    )


def _listed_rows(copy: EnrichedDocument) -> dict[str, dict[Key, Values]]:
    """Return the rows of the URLs that an article claims, and of its links. The first entry of several for a URL counts."""
    claims: dict[Key, Values] = {}
    for claim in copy.claims:
        claims.setdefault((claim.claim, claim.url_hash), (claim.url,))
    links: dict[Key, Values] = {}
    for kind, targets in (("related", [one.url_hash for one in copy.related]), ("contains", copy.contains)):
        for rank, target_hash in enumerate(targets):
            links.setdefault((kind, target_hash), (rank,))
    return {"article_urls": claims, "links": links}


def _image_hashes(images: Sequence[ImageRef]) -> set[bytes]:
    return {image_hash(image.url) for image in images}


def _topics(copy: EnrichedDocument, title: str | None, shared: Shared) -> dict[Key, Values]:
    """Return the topics of an article: those that the document states, then those found in its text."""
    topics: dict[Key, Values] = {}
    for origin, names in (("stated", copy.topics), ("inferred", shared.inferred_topics(title, copy.excerpt))):
        for rank, name in enumerate(names):
            topics.setdefault((shared.topic_id(name),), (rank, origin))
    return topics


def _published_row(copy: EnrichedDocument, title: str | None, provider_id: int | None) -> Row:
    """Return the columns of an article that its document decides alone; the others of `OF_DOCUMENT` are null."""
    return {
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
        "reported_published": copy.reported_published,
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
