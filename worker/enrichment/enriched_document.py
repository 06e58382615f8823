"""The enriched document: all values that the store writes. Its JSON is in `document_json.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from worker.enrichment.providers import ProviderRef

JsonObject: TypeAlias = dict[str, Any]
"""Values that only pass through: they are stored as JSON, and readers look into them."""

CLAIM_NAMES = {
    "web": "webUrl",
    "source": "sourceUrl",
    "original": "originalUrl",
    "amp": "ampWebUrl",
    "cdn_amp": "cdnAmpWebUrl",
}
"""The newest field name in documents for each kind of claim."""


@dataclass(slots=True)
class Claim:
    """A URL that a document claims for its article: the URL as written, the hash of its canonical form, its kind."""

    url: str
    url_hash: bytes
    claim: str


@dataclass(slots=True)
class ImageRef:
    """An image of an article. `title` is the image's title in the document."""

    url: str
    width: int | None
    height: int | None
    is_cached: bool | None
    title: str | None


@dataclass(slots=True)
class Mention:
    """An entry of `related`: what a document says about another article.

    `url` is canonical, and `extra` holds the URLs as written. Documents with an equal entry share one object, so it
    must not be changed.
    """

    url: str
    url_hash: bytes
    kind: str
    title: str | None
    excerpt: str | None
    published_at: datetime | None
    provider: ProviderRef | None
    quality: int | None
    images: list[ImageRef] = field(default_factory=list)
    extra: JsonObject = field(default_factory=dict)
    form: str = field(default="", compare=False, repr=False)
    """The entry as JSON, a part of the document's JSON. It is filled when it is first needed."""


@dataclass(slots=True)
class EnrichedDocument:
    """A document after enrichment. `content_hash` covers all fields except `secured`. Times are in UTC."""

    canonical_url: str | None
    url_hash: bytes
    kind: str
    category: str | None
    title: str | None
    excerpt: str | None
    body: str
    published_at: datetime | None
    updated_at: datetime | None
    provider: ProviderRef | None
    language: str | None
    quality: int | None
    reported_heat: int | None
    reported_published: bool | None
    secured: str | None
    extra: JsonObject = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    images: list[ImageRef] = field(default_factory=list)
    related: list[Mention] = field(default_factory=list)
    related_count: int = 0
    """Number of entries of `related` in the document. Repeats and the article itself count, because heat needs them."""
    outranked_by: int | None = None
    """Index in `related` of the entry that leads by the values in this document. None: the article itself leads, or has
    no quality. -1: the leading entry is not in `related`, because it has no URL or is the article itself. -2
    (`heat.NEVER_OUTRANKED`): the article leads in any case."""
    duration_seconds: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    details: JsonObject = field(default_factory=dict)
    contains: list[bytes] = field(default_factory=list)
    """Hashes of the URLs or documents that the items of a collection name."""
    content_hash: bytes = b""
    form: str = field(default="", compare=False, repr=False)
    """The result of `document_json.document_to_json`, made once at enrichment or read from the store. It is hashed and stored."""


_FIELDS = {
    "type": "kind",
    "category": "category",
    "title": "title",
    "excerpt": "excerpt",
    "body": "body",
    "publishedDateTime": "published_at",
    "updatedDateTime": "updated_at",
    "provider": "provider",
    "language": "language",
    "quality": "quality",
    "heat": "reported_heat",
    "published": "reported_published",
    "topics": "topics",
    "images": "images",
    "related": "related",
    "outrankedBy": "outranked_by",
    "startDateTime": "starts_at",
    "endDateTime": "ends_at",
    "secured": "secured",
}


def changed_fields(old: EnrichedDocument, new: EnrichedDocument) -> list[str]:
    """Return the names of the fields that differ, as documents write them. Fields of `extra` become `extra.<name>`."""
    changed = [name for name, attribute in _FIELDS.items() if getattr(old, attribute) != getattr(new, attribute)]
    before = {one.claim: one.url for one in old.claims}
    after = {one.claim: one.url for one in new.claims}
    changed += [name for claim, name in CLAIM_NAMES.items() if before.get(claim) != after.get(claim)]
    missing = object()
    for name in sorted(old.details.keys() | new.details.keys()):
        if old.details.get(name, missing) != new.details.get(name, missing):
            changed.append(name)
    for name in sorted(old.extra.keys() | new.extra.keys()):
        if old.extra.get(name, missing) != new.extra.get(name, missing):
            changed.append(f"extra.{name}")
    return changed


__all__ = [
    "CLAIM_NAMES",
    "Claim",
    "EnrichedDocument",
    "ImageRef",
    "JsonObject",
    "Mention",
    "ProviderRef",
    "changed_fields",
]
