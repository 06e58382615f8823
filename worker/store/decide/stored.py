"""What a decision reads: rows of the store as plain values, and the interface that loads them.

A decision loads three times, because what it needs next depends on what it found: documents, then the articles that
they describe, then the URLs that these articles claim and name. Each load is bounded by the batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from worker.enrichment.reference_documents import References

MOST_NAMERS = 20
"""How many of the articles that name or claim a URL a batch reads. What more of them decide is background work."""
Row = dict[str, object]
Key = tuple[object, ...]
Values = tuple[object, ...]
ChildRow = tuple[int, *tuple[object, ...]]
"""A row of a child table: the id of its article, the rest of its key, its values."""
Place = tuple[str, bytes]
"""A source, and the hash of a URL."""


class ReceiptRow(NamedTuple):
    lane: str
    id: str
    outcome: str
    op: str
    source: str
    key: str | None
    url: str | None
    article_id: int | None
    raw_sha256: bytes | None


class DocumentRow(NamedTuple):
    """A document: its latest accepted version. The last two are no columns of `documents`.

    `form`: the column, where it is loaded: of reference documents, and of the newest documents of articles.
    `shown_by`: id of the source document of this document's article.
    """

    id: int
    doc_hash: bytes
    source: str
    key: str
    revision: str = ""
    article_hash: bytes | None = None
    taxonomy: str | None = None
    retracted: bool = False
    url_retraction: str | None = None
    raw_sha256: bytes | None = None
    fingerprint: bytes | None = None
    content_hash: bytes | None = None
    secured: str | None = None
    pipeline_version: int | None = None
    form: str | None = None
    shown_by: int | None = None

    @property
    def is_live(self) -> bool:
        return self.article_hash is not None and not self.retracted


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


class ProviderRow(NamedTuple):
    """`name`: None if it has none, or if it is being counted again: the count may have missed what the batch adds."""

    domain: str
    id: int
    name: str | None


class TopicRow(NamedTuple):
    """`keywords`: those of its reference document; None if it has none."""

    slug: str
    id: int
    name: str
    document_id: int | None = None
    keywords: list[str] | None = None


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
    """The newest of at most `MOST_NAMERS` articles that name a URL and that a batch does not touch.

    `form`: of its document.
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
    namers: int
    target_id: int | None


class ImageUse(NamedTuple):
    """Whether an image is marked as a placeholder, and how many rows show it (counted up to a limit)."""

    url_hash: bytes
    is_marked: bool
    uses: int


CHILD_KEYS: dict[str, tuple[str, ...]] = {
    "article_urls": ("article_id", "claim", "url_hash"),
    "images": ("article_id", "rank"),
    "article_topics": ("article_id", "topic_id"),
    "links": ("source_id", "kind", "target_hash"),
}
CHILD_VALUES: dict[str, tuple[str, ...]] = {
    "article_urls": ("url",),
    "images": ("url", "width", "height", "is_cached", "title", "url_hash", "is_placeholder"),
    "article_topics": ("rank", "origin"),
    "links": ("rank",),
}


class Children:
    """The rows that belong to articles: claimed URLs, images, topics, and the links that documents state.

    `tables`: table → article id → rest of the key → values.
    """

    def __init__(self) -> None:
        self.tables: dict[str, dict[int, dict[Key, Values]]] = {name: defaultdict(dict) for name in CHILD_KEYS}

    def add(self, table: str, rows: Iterable[ChildRow]) -> None:
        owned, width = self.tables[table], len(CHILD_KEYS[table])
        for row in rows:
            owned[row[0]][row[1:width]] = row[width:]

    def of(self, table: str, article_id: int) -> Mapping[Key, Values]:
        return self.tables[table].get(article_id, {})

    def claimed(self, article_id: int) -> set[bytes]:
        """Return the URLs that an article claims."""
        return {key[1] for key in self.of("article_urls", article_id) if isinstance(key[1], bytes)}

    def named(self, article_id: int, kind: str) -> set[bytes]:
        """Return the URLs that an article names. `kind`: `related` or `contains`."""
        return {h for (of_kind, h) in self.of("links", article_id) if of_kind == kind and isinstance(h, bytes)}


class DocumentKeys(NamedTuple):
    """`retractions`: places, and the newest revision at which the batch retracts them; `step`: how many documents of each
    place one transaction retracts. `replays`: ids of dead letters. `described`: the articles that the batch describes,
    which a loader may load ahead of `ArticleKeys`.
    """

    receipts: Collection[tuple[str, str]] = ()
    doc_hashes: Collection[bytes] = ()
    retractions: Collection[tuple[str, bytes, str]] = ()
    step: int = 0
    raw: Collection[bytes] = ()
    replays: Collection[int] = ()
    described: Collection[bytes] = ()


@dataclass(frozen=True, slots=True)
class StoredDocuments:
    """`now`: the store's time, read under the writer lock. `next_ids`: table → the id of its next new row. `reached`: live
    documents that a retraction of the batch reaches, newest first, for each place up to the limit of a step and one
    more. `raw`: when those of the wanted bytes that are stored were last seen.
    """

    now: datetime
    next_ids: Mapping[str, int]
    references: References
    receipts: Mapping[tuple[str, str], ReceiptRow] = field(default_factory=dict)
    documents: Mapping[bytes, DocumentRow] = field(default_factory=dict)
    reached: Sequence[DocumentRow] = ()
    raw: Mapping[bytes, datetime] = field(default_factory=dict)
    replays: Collection[int] = ()


class ArticleKeys(NamedTuple):
    """`touched`: articles (and identities of references' subjects). `rewritten`: those whose images and topics are
    needed too. `known`: documents that are loaded already. `forms`: ids of documents.
    """

    touched: Collection[bytes]
    rewritten: Collection[bytes]
    known: Collection[bytes]
    forms: Collection[int]


@dataclass(slots=True)
class StoredArticles:
    """`sources`: the newest live document of each touched article, or reference's subject, that is not `known`.
    `forms`: by document id.
    """

    articles: dict[bytes, ArticleRow] = field(default_factory=dict)
    sources: dict[bytes, DocumentRow] = field(default_factory=dict)
    forms: dict[int, str] = field(default_factory=dict)
    children: Children = field(default_factory=Children)


class UrlKeys(NamedTuple):
    """`urls`: all URLs that the touched articles claim or name, before or after, and `items`. `touched`: ids of the articles
    that the earlier load returned; `undescribed`: those of them that no document describes any more. `unnamed`: URLs that
    may have lost the article whose entry their stub shows. `revised`: ids of articles whose revision alone changes.
    `items`: what the items of collections name, documents or URLs. `reassigned`: documents of the batch that describe
    another article now; collections may name them, but they are no URLs. `domains`: of providers; `slugs`: of topics.
    """

    urls: Collection[bytes] = ()
    touched: Collection[int] = ()
    undescribed: Collection[int] = ()
    unnamed: Collection[bytes] = ()
    revised: Collection[int] = ()
    items: Collection[bytes] = ()
    reassigned: Collection[bytes] = ()
    images: Collection[bytes] = ()
    domains: Collection[str] = ()
    slugs: Collection[str] = ()


@dataclass(slots=True)
class StoredUrls:
    """`forms`: of the source documents of revised articles, by article id. `items`: doc_hash → id of the article that
    the live document describes. `stub_images`: rows of `images`. `providers`: by domain, also those that the unnamed
    URLs show, which are nearly always those of the entries that their stubs show next.
    """

    articles: dict[bytes, ArticleRow]
    alias_claims: dict[bytes, AliasClaimRow]
    targets: dict[bytes, TargetRow]
    namers: dict[bytes, NamerRow]
    forms: dict[int, str]
    items: dict[bytes, int | None]
    images: dict[bytes, ImageUse]
    stub_images: list[ChildRow]
    providers: dict[str, ProviderRow]
    topics: dict[str, TopicRow]


class Loader(Protocol):
    """Loads rows under the writer lock. Each call is one round trip to PostgreSQL."""

    def documents(self, keys: DocumentKeys) -> StoredDocuments: ...

    def articles(self, keys: ArticleKeys) -> StoredArticles: ...

    def urls(self, keys: UrlKeys) -> StoredUrls: ...
