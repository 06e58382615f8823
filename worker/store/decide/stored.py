"""What a decision reads: rows of the store as plain values, and the interface that loads them.

A decision loads three times, because what it needs next depends on what it found: documents, then the articles that
they describe, then the URLs that these articles claim and name. Each load is bounded by the batch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from worker.enrichment.reference_documents import ReferenceCopy, reference_from_form

MOST_NAMERS = 20
"""How many of the articles that name or claim a URL a batch reads. What more of them decide is background work."""
Row = dict[str, object]
Subject = tuple[str, str]
"""The taxonomy of a reference document, and the domain (organization) or slug (topic) that it is about."""
Place = tuple[str, bytes]
"""A source, and the hash of a URL."""


class ReceiptRow(NamedTuple):
    lane: str
    id: str
    outcome: str
    op: str
    key: str | None
    url: str | None
    article_id: int | None
    raw_sha256: bytes | None


class DocumentRow(NamedTuple):
    """A stored document. `reference_form`: its form, if it is a reference document. `shown_by`: id of the source document
    of this document's article.
    """

    id: int
    doc_hash: bytes
    source: str
    key: str
    revision: str
    article_hash: bytes | None
    taxonomy: str | None
    retracted: bool
    url_retraction: str | None
    content_hash: bytes | None
    secured: str | None
    pipeline_version: int | None
    reference_form: str | None
    shown_by: int | None

    @property
    def reference(self) -> ReferenceCopy | None:
        return reference_from_form(self.reference_form) if self.reference_form else None


class SourceRow(NamedTuple):
    """The newest live document of an article (or of a reference's subject) among those that a batch does not touch."""

    article_hash: bytes
    id: int
    source: str
    revision: str
    pipeline_version: int | None
    form: str
    secured: str | None


class FormRow(NamedTuple):
    id: int
    form: str


class ArticleRow(NamedTuple):
    id: int
    url_hash: bytes
    is_stub: bool
    canonical_url: str | None
    document_id: int | None
    named_by: int | None
    revision: str
    kind: str | None
    title: str | None
    excerpt: str | None
    published_at: datetime | None
    provider_id: int | None
    provider_name: str | None
    image_url: str | None
    quality: int | None
    extra: dict[str, object]
    orphaned_at: datetime | None


class LinkRow(NamedTuple):
    """A link that a document states (`related` or `contains`)."""

    source_id: int
    kind: str
    target_hash: bytes
    target_id: int | None
    rank: int


class ClaimRow(NamedTuple):
    article_id: int
    claim: str
    url_hash: bytes
    url: str


class ImageRow(NamedTuple):
    article_id: int
    rank: int
    url: str
    width: int | None
    height: int | None
    is_cached: bool | None
    title: str | None
    url_hash: bytes | None
    is_placeholder: bool


class TopicRow(NamedTuple):
    article_id: int
    topic_id: int
    rank: int
    origin: str


class KeywordsRow(NamedTuple):
    """A topic's keywords and its own slug."""

    id: int
    slug: str
    keywords: list[str]


class AliasClaimRow(NamedTuple):
    """The newest live article that claims a URL, among those that a batch does not touch.

    `claims`: how many articles claim it, at most `MOST_NAMERS`; the newest is one of these.
    """

    url_hash: bytes
    article_id: int
    revision: str
    quality: int | None
    published_at: datetime | None
    title: str | None
    article_hash: bytes
    claims: int = 1


class NamerRow(NamedTuple):
    """The newest article that names a URL among those that a batch does not touch, and the form of its document.

    It is the newest of at most `MOST_NAMERS`.
    """

    url_hash: bytes
    article_id: int
    revision: str
    form: str


class TargetRow(NamedTuple):
    """Where the listed links to a URL point. `namers`: how many there are (`related` and `contains`), at most
    `MOST_NAMERS`.
    """

    target_hash: bytes
    target_id: int | None
    namers: int


class ItemRow(NamedTuple):
    """The article that a document describes; None: it describes none that is stored."""

    doc_hash: bytes
    article_id: int | None


class ImageUse(NamedTuple):
    """Whether an image is marked as a placeholder, and how many rows show it (counted up to a limit)."""

    url_hash: bytes
    is_marked: bool
    uses: int


class ProviderName(NamedTuple):
    id: int
    name: str | None


@dataclass(frozen=True, slots=True)
class DocumentKeys:
    """`retractions`: the newest revision at which the batch retracts each place. `replays`: ids of dead letters."""

    receipts: Collection[tuple[str, str]]
    doc_hashes: Collection[bytes]
    retractions: Mapping[Place, str]
    raw: Collection[bytes]
    replays: Collection[int]


@dataclass(slots=True)
class StoredDocuments:
    """`reached`: live documents that a retraction of the batch reaches, newest first, for each place up to the limit
    of a step and one more. `raw`: those of the wanted bytes that are stored. `token`: of the reference documents.
    `deletions`: of the deletions of providers and topics. `now`: the store's time, read under the writer lock.
    """

    now: datetime
    receipts: dict[tuple[str, str], ReceiptRow] = field(default_factory=dict)
    documents: dict[bytes, DocumentRow] = field(default_factory=dict)
    reached: list[DocumentRow] = field(default_factory=list)
    raw: set[bytes] = field(default_factory=set)
    replays: set[int] = field(default_factory=set)
    token: str | None = None
    deletions: str | None = None
    next_document: int = 1
    next_article: int = 1


@dataclass(frozen=True, slots=True)
class ArticleKeys:
    """`touched`: articles (and identities of references' subjects). `rewritten`: those whose images and topics are
    needed too. `known`: documents that are loaded already. `forms`: ids of documents. `topics`: slugs.
    """

    touched: Collection[bytes]
    rewritten: Collection[bytes]
    known: Collection[bytes]
    forms: Collection[int]
    topics: Collection[str]


@dataclass(slots=True)
class StoredArticles:
    articles: dict[bytes, ArticleRow] = field(default_factory=dict)
    sources: dict[bytes, SourceRow] = field(default_factory=dict)
    forms: dict[int, str] = field(default_factory=dict)
    links: list[LinkRow] = field(default_factory=list)
    claims: list[ClaimRow] = field(default_factory=list)
    images: list[ImageRow] = field(default_factory=list)
    topics: list[TopicRow] = field(default_factory=list)
    keywords: dict[str, KeywordsRow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UrlKeys:
    """`urls`: all URLs that the touched articles claim or name, before or after. `claimable`: those of them that no
    touched article with a document is known by. `touched`: ids of the articles that the earlier load returned; `left`:
    those of them that no document describes any more. `unnamed`: URLs that
    may have lost the article whose entry their stub shows. `moved`: ids of articles whose revision alone changes.
    `items`: documents that items of collections may name.
    """

    urls: Collection[bytes]
    claimable: Collection[bytes]
    touched: Collection[int]
    left: Collection[int]
    unnamed: Collection[bytes]
    moved: Collection[int]
    items: Collection[bytes]
    images: Collection[bytes]
    providers: Collection[int]


@dataclass(slots=True)
class StoredUrls:
    articles: dict[bytes, ArticleRow] = field(default_factory=dict)
    alias_claims: dict[bytes, AliasClaimRow] = field(default_factory=dict)
    targets: dict[bytes, TargetRow] = field(default_factory=dict)
    namers: dict[bytes, NamerRow] = field(default_factory=dict)
    forms: dict[int, str] = field(default_factory=dict)
    items: dict[bytes, int | None] = field(default_factory=dict)
    images: dict[bytes, ImageUse] = field(default_factory=dict)
    stub_images: list[ImageRow] = field(default_factory=list)
    providers: dict[int, str | None] = field(default_factory=dict)


class Loader(Protocol):
    """Loads rows under the writer lock. Each call is one round trip to PostgreSQL."""

    def documents(self, keys: DocumentKeys) -> StoredDocuments: ...

    def articles(self, keys: ArticleKeys) -> StoredArticles: ...

    def urls(self, keys: UrlKeys) -> StoredUrls: ...
