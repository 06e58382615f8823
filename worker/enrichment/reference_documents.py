"""The enriched reference document, which adds data to a provider or a topic, its JSON, and what all of them say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from schemas.references import Organization, Topic
from worker.enrichment.document_json import hash_of_document_json
from worker.enrichment.enriched_document import JsonObject
from worker.enrichment.providers import ProviderRef
from worker.enrichment.titles import clean, clean_or_none, strip_provider_suffix
from worker.enrichment.topics import TopicFinder, stated_topics, topic_slug
from worker.enrichment.urls.canonical_urls import reference_hash
from worker.enrichment.urls.hosts import registrable_domain

ORGANIZATION, TOPIC = "organization", "topic"


@dataclass(slots=True)
class ReferenceCopy:
    """A reference document after enrichment. `subject`: the registrable domain of a provider, or the slug of a topic.

    Images keep their URLs as written. A relative URL refers to the sender's site, which is not known here.
    """

    taxonomy: str
    subject: str
    name: str
    description: str | None = None
    other_names: list[str] = field(default_factory=list)
    parent: str | None = None
    keywords: list[str] = field(default_factory=list)
    hashtags: list[str] = field(default_factory=list)
    images: list[JsonObject] = field(default_factory=list)
    extra: JsonObject = field(default_factory=dict)
    url_hash: bytes = b""
    content_hash: bytes = b""
    form: str = field(default="", compare=False, repr=False)
    """The result of `reference_to_form`, made once at enrichment or read from the store."""


def edit_reference(reference: Organization | Topic) -> ReferenceCopy | None:
    """Return the enriched form of a valid reference document. None for an organisation without a registrable domain."""
    extra = dict(reference.model_extra or {})
    if reference.id:
        extra["_id"] = reference.id
    name = clean(reference.name or "")
    shared: JsonObject = {
        "name": name,
        "description": clean_or_none(reference.description),
        "images": [image.model_dump(mode="json", exclude_none=True) for image in reference.images],
        "extra": extra,
    }
    if isinstance(reference, Organization):
        domain = registrable_domain(reference.domain or "") or registrable_domain(reference.id or "")
        if domain is None:
            return None
        if reference.domain and reference.domain != domain:
            extra["domain"] = reference.domain
        copy = ReferenceCopy(ORGANIZATION, domain, other_names=stated_topics(reference.other_names), **shared)
    else:
        copy = ReferenceCopy(
            TOPIC,
            topic_slug(name),
            parent=clean_or_none(reference.parent),
            keywords=stated_topics(reference.keywords),
            hashtags=stated_topics(reference.hashtags),
            **shared,
        )
    copy.url_hash = reference_hash(copy.taxonomy, copy.subject)
    copy.form = reference_to_form(copy)
    copy.content_hash = hash_of_document_json(copy.form)
    return copy


def reference_to_form(copy: ReferenceCopy) -> str:
    """Return the reference document as compact JSON, without its hashes."""
    form = {name: value for name in _NAMES if (value := getattr(copy, name))}
    return json.dumps(form, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def reference_from_form(text: str) -> ReferenceCopy:
    """Return the reference document that `reference_to_form` wrote as `text`."""
    copy = ReferenceCopy(**json.loads(text))
    copy.url_hash = reference_hash(copy.taxonomy, copy.subject)
    copy.content_hash = hash_of_document_json(text)
    copy.form = text
    return copy


def changed_reference_fields(old: ReferenceCopy, new: ReferenceCopy) -> list[str]:
    """Return the names of the fields that differ."""
    return [name for name in _NAMES if getattr(old, name) != getattr(new, name)]


_NAMES = tuple(one.name for one in fields(ReferenceCopy) if one.compare and not one.name.endswith("_hash"))


@dataclass(frozen=True, slots=True)
class References:
    """What all reference documents say. `token`: another one after each change of them; None: there are none.

    `names`: domain → all names of its organization. `finder`: finds topics by their keywords.
    """

    token: str | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    finder: TopicFinder = field(default_factory=lambda: TopicFinder({}))

    def title(self, title: str | None, provider: ProviderRef | None) -> str | None:
        """Return a title without its provider's name at the end."""
        for name in self.names.get(provider.domain, ()) if title and provider else ():
            title = strip_provider_suffix(title or "", name, None)
        return title
