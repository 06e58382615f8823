"""The enriched document as JSON (column `documents.form`).

When a newer document is retracted or no longer describes the article, the article is shown from the JSON of an older
one. So reading the JSON gives an equal document. It is built by hand, because generic serialisers take several times as
long.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from worker.enrichment.enriched_document import Claim, EnrichedDocument, ImageRef, JsonObject, Mention
from worker.enrichment.providers import ProviderRef


def document_to_json(copy: EnrichedDocument) -> str:
    """Return the document as compact JSON, without `secured` (stored separately) and the content hash (of this text).

    Keys are in alphabetic order, so that the hash does not depend on the order of the fields or on the process. The
    keys in this function are written in that order; `_in_order` sorts the keys that come from the document.
    """
    before = {
        "body": copy.body,
        "canonicalUrl": copy.canonical_url,
        "category": copy.category,
        "claims": [(one.claim, one.url, one.url_hash.hex()) for one in copy.claims] or None,
        "contains": [one.hex() for one in copy.contains] or None,
        "details": _in_order(copy.details) or None,
        "durationSeconds": copy.duration_seconds,
        "endDateTime": copy.ends_at,
        "excerpt": copy.excerpt,
        "extra": _in_order(copy.extra) or None,
        "heat": copy.reported_heat,
        "images": _images_out(copy.images) or None,
        "language": copy.language,
        "outrankedBy": copy.outranked_by,
        "provider": _provider_out(copy.provider),
        "published": copy.reported_published,
        "publishedDateTime": copy.published_at,
        "quality": copy.quality,
    }
    after = {
        "relatedCount": copy.related_count or None,
        "startDateTime": copy.starts_at,
        "title": copy.title,
        "topics": copy.topics or None,
        "type": copy.kind,
        "updatedDateTime": copy.updated_at,
        "urlHash": copy.url_hash.hex(),
    }
    related = [f'"related":[{",".join(map(_mention_out, copy.related))}]'] if copy.related else []
    return "{" + ",".join([_fields(before), *related, _fields(after)]) + "}"


def _fields(values: JsonObject) -> str:
    """Return the values that are not None as the inside of a JSON object, without the braces."""
    return to_json({name: value for name, value in values.items() if value is not None})[1:-1].decode()


def _in_order(value: Any) -> Any:
    """Return `value` with all its mappings sorted by key."""
    if isinstance(value, dict):
        return {name: _in_order(value[name]) for name in sorted(value)}
    return [_in_order(one) for one in value] if isinstance(value, list) else value


def document_from_json(text: str, secured: str | None) -> EnrichedDocument:
    """Return the document that `document_to_json` wrote as `text`. `secured` is stored separately."""
    form = json.loads(text)
    get = form.get
    return EnrichedDocument(
        canonical_url=get("canonicalUrl"),
        url_hash=bytes.fromhex(form["urlHash"]),
        kind=form["type"],
        category=get("category"),
        title=get("title"),
        excerpt=get("excerpt"),
        body=form["body"],
        published_at=_time_in(get("publishedDateTime")),
        updated_at=_time_in(get("updatedDateTime")),
        provider=_provider_in(get("provider")),
        language=get("language"),
        quality=get("quality"),
        reported_heat=get("heat"),
        reported_published=get("published"),
        secured=secured,
        extra=get("extra") or {},
        claims=[Claim(url, bytes.fromhex(digest), claim) for claim, url, digest in get("claims", ())],
        topics=get("topics") or [],
        images=[ImageRef(*one) for one in get("images", ())],
        related=[_mention_in(one) for one in get("related", ())],
        related_count=get("relatedCount") or 0,
        outranked_by=get("outrankedBy"),
        duration_seconds=get("durationSeconds"),
        starts_at=_time_in(get("startDateTime")),
        ends_at=_time_in(get("endDateTime")),
        details=get("details") or {},
        contains=[bytes.fromhex(one) for one in get("contains", ())],
        content_hash=hash_of_document_json(text),
        form=text,
    )


def hash_of_document_json(text: str) -> bytes:
    """Return the content hash (16 bytes) of a document's JSON. It is the same in every process."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _mention_out(one: Mention) -> str:
    if not one.form:
        form = {
            "excerpt": one.excerpt,
            "extra": _in_order(one.extra) if one.extra else {},
            "images": _images_out(one.images),
            "provider": _provider_out(one.provider),
            "publishedDateTime": one.published_at,
            "quality": one.quality,
            "title": one.title,
            "type": one.kind,
            "url": one.url,
            "urlHash": one.url_hash.hex(),
        }
        one.form = to_json(form).decode()
    return one.form


def _mention_in(form: JsonObject) -> Mention:
    return Mention(
        url=form["url"],
        url_hash=bytes.fromhex(form["urlHash"]),
        kind=form["type"],
        title=form["title"],
        excerpt=form["excerpt"],
        published_at=_time_in(form["publishedDateTime"]),
        provider=_provider_in(form["provider"]),
        quality=form["quality"],
        images=[ImageRef(*one) for one in form["images"]],
        extra=form["extra"],
    )


def _images_out(images: list[ImageRef]) -> list[tuple[object, ...]]:
    return [(one.url, one.width, one.height, one.is_cached, one.title) for one in images]


def _provider_out(provider: ProviderRef | None) -> tuple[str, str | None] | None:
    return (provider.domain, provider.name) if provider else None


def _provider_in(form: list[str] | None) -> ProviderRef | None:
    return ProviderRef(form[0], form[1]) if form else None


def _time_in(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


__all__ = ["document_from_json", "document_to_json", "hash_of_document_json"]
