"""Convert an enriched document to the rows of its article. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from worker.enrichment.document_json import document_to_json
from worker.enrichment.enriched_document import EnrichedDocument, ImageRef, Mention, ProviderRef
from worker.enrichment.image_choice import best_image, image_hash
from worker.enrichment.reference_documents import References
from worker.enrichment.topics import topic_slug
from worker.store.decide.stored import Key, Row, Values

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


@dataclass(slots=True)
class ArticleParts:
    """What an article shows of its document and of the reference documents, without the ids of other rows. It is made
    before the writer lock is taken.

    `token`: of the references. `columns`: the values of `SHOWN`; those that other rows decide are null, and heat as it is
    reported. `children`: the rows of the child tables, links without their target, images as if none were a placeholder.
    `topics`: the values of `article_topics` by slug. `mentions`: the entries of `related` by the URL that they name,
    `items`: the hashes that it contains. `image_hashes`: of its own images, `all_images`: with those of its entries.
    """

    copy: EnrichedDocument
    token: str | None
    title: str | None
    columns: Row
    children: dict[str, dict[Key, Values]]
    topics: dict[str, Values]
    claimed: set[bytes]
    mentions: dict[bytes, Mention]
    items: set[bytes]
    image_hashes: set[bytes]
    all_images: set[bytes]

    @property
    def form(self) -> str:
        return self.copy.form or document_to_json(self.copy)


def parts_of(copy: EnrichedDocument, references: References) -> ArticleParts:
    """Return what an article that shows `copy` has of it. Of several entries for a URL the first counts."""
    title = references.title(copy.title, copy.provider)
    claims, links, topics = dict[Key, Values](), dict[Key, Values](), dict[str, Values]()
    mentions: dict[bytes, Mention] = {}
    for claim in copy.claims:
        claims.setdefault((claim.claim, claim.url_hash), (claim.url,))
    for rank, mention in enumerate(copy.related):
        mentions.setdefault(mention.url_hash, mention)
        links.setdefault(("related", mention.url_hash), (rank,))
    for rank, item in enumerate(copy.contains):
        links.setdefault(("contains", item), (rank,))
    for origin, names in (("stated", copy.topics), ("inferred", references.finder.find(title, copy.excerpt))):
        for rank, name in enumerate(names):
            topics.setdefault(topic_slug(name), (rank, origin))
    image_hashes = image_hashes_of(copy.images)
    return ArticleParts(
        copy,
        references.token,
        title,
        _published_row(copy, title),
        {"article_urls": claims, "links": links, "images": image_rows(copy.images, ())},
        topics,
        {claim.url_hash for claim in copy.claims},
        mentions,
        set(copy.contains),
        image_hashes,
        image_hashes.union(*(image_hashes_of(mention.images) for mention in mentions.values())),
    )


def image_hashes_of(images: Sequence[ImageRef]) -> set[bytes]:
    return {image_hash(image.url) for image in images}


_OF_DOCUMENT = tuple(name for name in SHOWN if name in EnrichedDocument.__dataclass_fields__)
"""The columns that hold the field of the document which has their name."""
_OF_MENTION = ("kind", "title", "excerpt", "published_at", "quality", "extra")
_BLANK: Row = {**dict.fromkeys(SHOWN), "details": {}, "is_stub": False, "link_state": "pending"}
EMPTY: Row = {**_BLANK, "is_stub": True, "extra": {}}
"""The columns `SHOWN` of an article without a document, cleared."""


def _published_row(copy: EnrichedDocument, title: str | None) -> Row:
    return {
        **_BLANK,
        **{name: getattr(copy, name) for name in _OF_DOCUMENT},
        "title": title,
        "provider_name": provider_name(copy.provider, copy.extra),
        "image_url": best_image(copy.images, ()),
        "heat": copy.reported_heat,
        "is_published": copy.reported_published,
    }


def stub_row(mention: Mention, named_by: int | None, revision: str, provider_id: int | None, now: datetime) -> Row:
    """Return the columns `SHOWN` of an article that is known only because others name it, without its image.

    `named_by`: the article whose entry it shows.
    """
    return {
        **EMPTY,
        **{name: getattr(mention, name) for name in _OF_MENTION},
        "canonical_url": mention.url,
        "provider_id": provider_id,
        "provider_name": provider_name(mention.provider, mention.extra),
        "named_by": named_by,
        "revision": revision,
        "changed_at": now,
    }


def orphan_row(canonical_url: str | None, now: datetime) -> Row:
    """Return the columns `SHOWN` of an article that no document describes and no article names any more.

    The linker removes its links.
    """
    return {**EMPTY, "canonical_url": canonical_url, "revision": "", "orphaned_at": now, "changed_at": now}


def provider_name(provider: ProviderRef | None, extra: Mapping[str, object]) -> str | None:
    """Return the provider's name in the document; also of one without a domain, which has no row in `providers`."""
    if provider is not None:
        return provider.name
    rest = extra.get("provider")
    return rest.get("name") if isinstance(rest, dict) else None


def image_rows(images: Sequence[ImageRef], marked: Collection[bytes]) -> dict[Key, Values]:
    """Return rank → the other columns of each image of an article. `marked`: hashes of placeholder images."""
    rows: dict[Key, Values] = {}
    for rank, one in enumerate(images):
        digest = image_hash(one.url)
        rows[(rank,)] = (one.url, one.width, one.height, one.is_cached, one.title, digest, digest in marked)
    return rows
