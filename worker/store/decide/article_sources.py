"""Decide which document each touched article shows. Pure: no I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from worker.enrichment.document_json import document_from_json
from worker.store.decide.documents import DocumentChanges, KnownDocument
from worker.store.decide.rows.article_rows import ArticleParts, Shared, parts_of
from worker.store.decide.stored import ArticleKeys, ArticleRow, SourceRow, StoredArticles, UrlKeys


class Source(NamedTuple):
    """The source document of an article: the newest live document that describes it."""

    document_id: int
    source: str
    revision: str
    pipeline_version: int | None
    secured: str | None


@dataclass(slots=True)
class Published:
    """An article whose content is written. `row`: as it is stored, None if it is new."""

    id: int
    url_hash: bytes
    row: ArticleRow | None
    source: Source
    parts: ArticleParts


@dataclass(slots=True)
class Moved:
    """An article that shows the same content of the same document as before, of another revision."""

    id: int
    row: ArticleRow
    source: Source


@dataclass(slots=True)
class ArticleChanges:
    """The touched articles after the batch, by url_hash. `left`: no document describes them any more.

    `rows`: as they are stored. `next_id`: the ids of new articles.
    """

    next_id: Iterator[int]
    published: dict[bytes, Published] = field(default_factory=dict)
    moved: dict[bytes, Moved] = field(default_factory=dict)
    left: dict[bytes, ArticleRow] = field(default_factory=dict)
    rows: dict[bytes, ArticleRow] = field(default_factory=dict)

    def live(self) -> Iterator[tuple[bytes, Published | Moved]]:
        """Yield url_hash and article for each touched article that has a source document."""
        yield from self.published.items()
        yield from self.moved.items()


@dataclass(slots=True)
class ListedBefore:
    """The claims and the listed links of the touched articles as they are stored, by article id.

    `claims`: (claim, url_hash) → URL. `links`: (kind, target_hash) → (target id, rank).
    """

    claims: dict[int, dict[tuple[str, bytes], str]]
    links: dict[int, dict[tuple[str, bytes], tuple[int | None, int]]]

    @classmethod
    def of(cls, stored: StoredArticles) -> ListedBefore:
        before = cls(defaultdict(dict), defaultdict(dict))
        for claim in stored.claims:
            before.claims[claim.article_id][claim.claim, claim.url_hash] = claim.url
        for link in stored.links:
            before.links[link.source_id][link.kind, link.target_hash] = link.target_id, link.rank
        return before

    def claimed(self, article_id: int) -> set[bytes]:
        return {url_hash for _, url_hash in self.claims.get(article_id, ())}

    def named(self, article_id: int, *, items: bool = True) -> set[bytes]:
        """Return the URLs that an article names. `items`: also those that it contains as items."""
        return {target for kind, target in self.links.get(article_id, ()) if items or kind == "related"}


def article_keys(changes: DocumentChanges, rewritten: Collection[bytes] = ()) -> ArticleKeys:
    """Return what must be loaded to decide the articles that `changes` touch.

    `rewritten`: articles that are written anew whatever their documents are.
    """
    forms = {known.id for known in changes.documents.values() if _may_be_shown_again(known)}
    olds = ((changes.documents[doc_hash].row, before) for _, doc_hash, before, _ in changes.updated)
    forms |= {row.id for row, before in olds if row is not None and before is None and row.reference_form is None}
    anew = {h for h in changes.touched if h not in changes.subjects} - _unchanged(changes) | set(rewritten)
    topics = {subject for taxonomy, subject in changes.subjects.values() if taxonomy == "topic"}
    return ArticleKeys(changes.touched | set(rewritten), anew, changes.documents.keys(), forms, topics)


def _may_be_shown_again(known: KnownDocument) -> bool:
    """Return whether its article may have to be written from the form that is stored."""
    row = known.row
    return row is not None and known.content is None and known.state.is_live and row.shown_by != row.id


def _unchanged(changes: DocumentChanges) -> set[bytes]:
    """Return the articles of which only one document changed, in its revision alone, and which show that document."""
    unchanged = set()
    for h, documents in changes.by_article().items():
        if len(documents) == 1 and documents[0].content is None and documents[0].row is not None:
            row = documents[0].row
            if row.article_hash == h and row.shown_by == row.id and documents[0].is_changed:
                unchanged.add(h)
    return unchanged - {
        known.row.article_hash
        for known in changes.documents.values()
        if known.row is not None and known.row.article_hash not in (None, known.state.article_hash)
    }


def decide_articles(
    changes: DocumentChanges, stored: StoredArticles, shared: Shared, next_id: int, rewritten: Collection[bytes] = ()
) -> ArticleChanges:
    """Choose the source document of each touched article. Raises NotPrepared.

    `shared`: providers, topics and references. `rewritten`: articles that are written anew whatever their documents
    are.
    """
    articles = ArticleChanges(count(next_id), rows=stored.articles)
    known = changes.by_article()
    for url_hash in sorted((changes.touched | set(rewritten)) - changes.subjects.keys()):
        row = stored.articles.get(url_hash)
        other = stored.sources.get(url_hash)
        newest = _newest_of_batch(known.get(url_hash, ()), other)
        if newest is not None or other is not None:
            source = _source_of(newest, other)
            parts = newest.content if newest is not None else None
            if row is None or row.document_id != source.document_id or parts is not None or url_hash in rewritten:
                id_ = row.id if row is not None else next(articles.next_id)
                if not isinstance(parts, ArticleParts):
                    parts = _stored_parts(newest, other, source, stored, shared)
                articles.published[url_hash] = Published(id_, url_hash, row, source, parts)
            else:
                articles.moved[url_hash] = Moved(row.id, row, source)
        elif row is not None and not row.is_stub:
            articles.left[url_hash] = row
    return articles


def _newest_of_batch(known: Collection[KnownDocument], other: SourceRow | None) -> KnownDocument | None:
    """Return the newest document that a batch knows, unless `other` is newer."""
    newest = max(known, key=lambda one: one.state.revision, default=None)
    return newest if newest is None or other is None or newest.state.revision > other.revision else None


def _stored_parts(
    known: KnownDocument | None, other: SourceRow | None, source: Source, stored: StoredArticles, shared: Shared
) -> ArticleParts:
    """Return the rows of an article from the stored form of its source document."""
    form = stored.forms[known.id] if known is not None else other.form if other is not None else ""
    return parts_of(document_from_json(form, source.secured), shared)


def _source_of(known: KnownDocument | None, other: SourceRow | None) -> Source:
    if known is not None:
        return Source(known.id, known.source, known.state.revision, known.pipeline_version, known.secured)
    if other is None:
        raise LookupError("no document describes the article")
    return Source(other.id, other.source, other.revision, other.pipeline_version, other.secured)


class _Keys:
    """Collects the URLs that must be decided again, and what is needed for it."""

    def __init__(self, before: ListedBefore, changes: DocumentChanges) -> None:
        self._before = before
        self.urls, self.items = set(changes.moved), set(changes.moved)
        self.unnamed: set[bytes] = set()
        self.images: set[bytes] = set()
        self.providers: set[object] = set()

    def add_stored(self, row: ArticleRow) -> None:
        """Add what an article claims and names as it is stored."""
        self.urls |= self._before.claimed(row.id) | self._before.named(row.id)
        self.items |= self._before.named(row.id) - self._before.named(row.id, items=False)
        self.providers.add(row.provider_id)

    def add_left(self, row: ArticleRow) -> None:
        lost = {row.url_hash} | self._before.claimed(row.id) | self._before.named(row.id, items=False)
        self.urls |= lost
        self.unnamed |= lost

    def add_published(self, one: Published) -> None:
        parts = one.parts
        self.urls.add(one.url_hash)
        self.urls.update(parts.claimed, parts.mentions, parts.items)
        self.items |= parts.items
        self.images |= parts.all_images
        self.providers.add(parts.provider_id)
        self.providers.update(parts.stub_providers.values())
        if one.row is not None:
            named = self._before.named(one.id, items=False)
            is_older = one.source.revision < one.row.revision
            self.unnamed |= self._before.claimed(one.id) - parts.claimed
            self.unnamed |= named if is_older else named - parts.mentions.keys()


def url_keys(articles: ArticleChanges, before: ListedBefore, changes: DocumentChanges) -> UrlKeys:
    """Return what must be loaded to decide what the URLs of the touched articles mean, and what their stubs show."""
    keys = _Keys(before, changes)
    for row in articles.rows.values():
        keys.add_stored(row)
    for row in articles.left.values():
        keys.add_left(row)
    for one in articles.published.values():
        keys.add_published(one)
    return UrlKeys(
        urls=keys.urls,
        claimable=keys.urls - articles.published.keys() - articles.moved.keys(),
        touched=[row.id for row in articles.rows.values()],
        left=[row.id for row in articles.left.values()],
        unnamed=keys.unnamed - articles.published.keys() - articles.moved.keys(),
        moved=[one.id for one in articles.moved.values()],
        items=keys.items,
        images=keys.images,
        providers={id_ for id_ in keys.providers if isinstance(id_, int)},
    )
