"""Enrich one document: turn a validated `Article` into the `EnrichedDocument` that the store writes.

Values without a column go to `extra`, as written and under the names of the document. So no value is lost.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from schemas.amounts import seconds_of
from schemas.article import Article, Image, Provider, RelatedArticle
from schemas.kinds import kind_of
from worker.documents.caches import IdentityCache
from worker.enrichment.details import details_of, item_hashes
from worker.enrichment.document_json import document_to_json, hash_of_document_json
from worker.enrichment.enriched_document import CLAIM_NAMES, Claim, EnrichedDocument, ImageRef, JsonObject, Mention
from worker.enrichment.heat import NEVER_OUTRANKED, Peer, lead_of
from worker.enrichment.image_choice import absolute
from worker.enrichment.language import language_of, language_of_text
from worker.enrichment.providers import ProviderRef, provider_of
from worker.enrichment.titles import clean_or_none, strip_provider_suffix
from worker.enrichment.topics import stated_topics
from worker.enrichment.urls.canonical_urls import article_hash_for_key, canonicalise, url_hash

Extra = JsonObject


def enrich(article: Article, body: str, *, source: str, key: str | None) -> EnrichedDocument:
    """Return the enriched document of a valid article.

    Raises ValueError if it has neither a URL nor a key. Validation rejects such documents, so this does not happen.
    """
    urls = _urls(article)
    url = next(iter(urls.values()), None)
    canonical = canonicalise(url) if url else None
    identity = _identity(canonical, source, key)
    provider = provider_of(article.provider, url)
    claims = [Claim(one, url_hash(canonicalise(one)), claim) for claim, one in urls.items()]
    known = {identity, *(claim.url_hash for claim in claims)}

    extra = dict(article.model_extra or {})
    title, titled_by = _title(article, extra)
    headline, excerpt = _headline(title, article.provider), clean_or_none(article.excerpt)
    images = _images(article.images, extra)
    entries = list(map(_entry, article.related))
    related, places = _related(article.related, entries, known, extra)
    _keep(extra, "score", None if article.heat is None else article.score)
    _keep(extra, "name", article.name if titled_by != "name" else None)
    _keep(extra, "locale", article.locale)
    _keep(extra, "provider", _provider_rest(article.provider, provider))

    copy = EnrichedDocument(
        canonical_url=canonical,
        url_hash=identity,
        kind=kind_of(article),
        category=clean_or_none(article.category),
        title=headline,
        excerpt=excerpt,
        body=body,
        published_at=_utc(article.published_at),
        updated_at=_utc(article.updated_at),
        provider=provider,
        language=language_of(article.locale) or language_of_text(f"{headline or ''}. {excerpt or ''}"),
        quality=article.quality,
        reported_heat=article.score if article.heat is None else article.heat,
        reported_published=article.published,
        secured=article.secured,
        extra=extra,
        claims=claims,
        topics=stated_topics(article.topics),
        images=images,
        related=related,
        related_count=len(article.related),
        outranked_by=_outranked_by(article, entries, places),
        duration_seconds=seconds_of(article.length) if article.length else None,
        starts_at=_utc(article.starts_at),
        ends_at=_utc(article.ends_at),
        details=details_of(article),
        contains=item_hashes(article.items, source, key) if article.items else [],
    )
    copy.form = document_to_json(copy)
    copy.content_hash = hash_of_document_json(copy.form)
    return copy


def _urls(article: Article | RelatedArticle) -> dict[str, str]:
    """Return the URLs as written, by kind of claim. The first one identifies the article; AMP URLs come last.

    `url` occurs only in entries of `related`.
    """
    urls = {}
    if article.web_url:
        urls["web"] = article.web_url
    if article.source_url:
        urls["source"] = article.source_url
    if article.original_url:
        urls["original"] = article.original_url
    if isinstance(article, RelatedArticle) and article.url:
        urls["url"] = article.url
    if article.amp_url:
        urls["amp"] = article.amp_url
    if article.cdn_amp_url:
        urls["cdn_amp"] = article.cdn_amp_url
    return urls


def _identity(canonical: str | None, source: str, key: str | None) -> bytes:
    if canonical is not None:
        return url_hash(canonical)
    if key is None:
        raise ValueError("A document needs a URL or a key.")
    return article_hash_for_key(source, key)


def _outranked_by(article: Article, entries: list[_Entry], places: dict[int, int]) -> int | None:
    """Return `EnrichedDocument.outranked_by`. `places`: see `_related`."""
    if article.score is not None and article.heat is None:
        return NEVER_OUTRANKED
    lead = lead_of(_peer(article), (entry.peer for entry in entries))
    return None if lead is None else places.get(lead, -1)


def _title(article: Article, extra: Extra) -> tuple[str | None, str | None]:
    """Return the title and the field it is from: `title`, else `name` (people, courses), else the name of `sponsor`."""
    if article.title and article.title.strip():
        return article.title, "title"
    if article.name and article.name.strip():
        return article.name, "name"
    sponsor = extra.get("sponsor")
    name = sponsor.get("name") if isinstance(sponsor, dict) else None
    return (name, "sponsor") if isinstance(name, str) else (None, None)


def _headline(title: str | None, provider: Provider | None) -> str | None:
    title = clean_or_none(title)
    if title is None or provider is None:
        return title
    return strip_provider_suffix(title, clean_or_none(provider.name), provider.domain)


def _peer(article: Article | RelatedArticle) -> Peer:
    return Peer(article.quality, article.published_at, article.title)


class _Entry(NamedTuple):
    """The values computed from an entry of `related` alone. `mention` is None if the entry has no URL."""

    peer: Peer
    mention: Mention | None


@IdentityCache
def _entry(article: RelatedArticle) -> _Entry:
    urls = _urls(article)
    return _Entry(_peer(article), _mention(article, urls) if urls else None)


def _related(
    article: list[RelatedArticle], entries: list[_Entry], known: set[bytes], extra: Extra
) -> tuple[list[Mention], dict[int, int]]:
    """Return the mentions in document order, and a mapping from the index of an entry to the index of its mention.

    The article itself (its hashes are in `known`; index -1) and repeats are left out of the mentions. Entries without a
    URL go to `extra`.
    """
    places: dict[bytes, int] = dict.fromkeys(known, -1)
    mentions: list[Mention] = []
    without_url: list[RelatedArticle] = []
    of_entries: dict[int, int] = {}
    for number, (_, mention) in enumerate(entries):
        if mention is None:
            without_url.append(article[number])
            continue
        if mention.url_hash not in places:
            places[mention.url_hash] = len(mentions)
            mentions.append(mention)
        of_entries[number] = places[mention.url_hash]
    if without_url:
        dumped = [one.model_dump(mode="json", by_alias=True, exclude_unset=True) for one in without_url]
        _keep(extra, "relatedWithoutUrl", _as_written(dumped))
    return mentions, of_entries


def _mention(entry: RelatedArticle, urls: dict[str, str]) -> Mention:
    url = next(iter(urls.values()))
    canonical = canonicalise(url)
    extra = dict(entry.model_extra or {})
    images = _images(entry.images, extra) if entry.images else []
    provider = provider_of(entry.provider, url)
    _keep(extra, "provider", _provider_rest(entry.provider, provider))
    for claim, one in urls.items():
        if one != canonical:
            _keep(extra, CLAIM_NAMES.get(claim, claim), one)
    return Mention(
        canonical,
        url_hash(canonical),
        (entry.kind or "").strip().lower() or "article",
        _headline(entry.title, entry.provider),
        clean_or_none(entry.excerpt),
        _utc(entry.published_at),
        provider,
        entry.quality,
        images,
        extra,
    )


def _images(images: list[Image], extra: Extra) -> list[ImageRef]:
    """Return each image with an absolute URL, once.

    Further fields of an image go to `extra["images"]`, by the index of the image in the document. A relative image goes
    there as a whole: its URL is relative to the sender's site, which the document does not name.
    """
    refs: dict[str, ImageRef] = {}
    rest: Extra = {}
    for place, image in enumerate(images):
        url = absolute(image.url)
        if url and url not in refs:
            refs[url] = ImageRef(url, image.width, image.height, image.is_cached, clean_or_none(image.title))
        if image.model_extra:
            rest[str(place)] = dict(image.model_extra)
        if url is None:
            rest[str(place)] = image.model_dump(mode="json", exclude_none=True)
    if rest:
        _keep(extra, "images", rest)
    return list(refs.values())


def _provider_rest(stated: Provider | None, provider: ProviderRef | None) -> Extra | None:
    """Return what the document states about the provider and `ProviderRef` does not hold."""
    if stated is None:
        return None
    rest = dict(stated.model_extra or {})
    if stated.domain and (provider is None or stated.domain != provider.domain):
        rest["domain"] = stated.domain
    if stated.name and (provider is None or provider.name is None):
        rest["name"] = stated.name
    return rest


def _keep(extra: Extra, name: str, value: object) -> None:
    """Set `extra[name]` to `value` unless it is empty. If an unknown field has the name, append `_` to it."""
    if value:
        while name in extra:
            name += "_"
        extra[name] = value


def _as_written(value: object) -> object:
    """Return a dumped value with all its parts as text, as documents write them and `extra` holds them."""
    if isinstance(value, dict):
        return {name: _as_written(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_as_written(one) for one in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if value is None else str(value)


def _utc(time: datetime | None) -> datetime | None:
    return time if time is None or time.tzinfo is UTC else time.astimezone(UTC)
