"""Decide which document each touched article shows, and what must be loaded for that. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import count

from worker.enrichment.document_json import document_from_json
from worker.enrichment.heat import Heat
from worker.store.decide.documents import DocumentChanges, newest_document
from worker.store.decide.references import References
from worker.store.decide.rows.article_rows import ArticleParts, parts_of
from worker.store.decide.stored import ArticleKeys, ArticleRow, Children, DocumentRow, StoredArticles, UrlKeys


@dataclass(slots=True)
class Article:
    """An article with a live document. `row`: as it is stored, None if it is new. `source`: the document that it shows.

    `parts`: its content, if that is written; else the article shows the same content of the same document as before,
    of another revision. `heat`: set when its row is made.
    """

    id: int
    url_hash: bytes
    row: ArticleRow | None
    source: DocumentRow
    parts: ArticleParts | None
    heat: Heat | None = None

    @property
    def canonical_url(self) -> str | None:
        if self.parts is not None:
            return self.parts.copy.canonical_url
        return self.row.canonical_url if self.row is not None else None


@dataclass(slots=True)
class ArticleChanges:
    """The touched articles after the batch, by url_hash. `undescribed`: no document describes them any more.

    `rows`, `children`: as they are stored. `next_id`: the ids of new articles.
    """

    next_id: Iterator[int]
    rows: dict[bytes, ArticleRow] = field(default_factory=dict)
    children: Children = field(default_factory=Children)
    live: dict[bytes, Article] = field(default_factory=dict)
    undescribed: dict[bytes, ArticleRow] = field(default_factory=dict)

    def published(self) -> Iterator[tuple[Article, ArticleParts]]:
        """Yield the articles whose content is written."""
        for one in self.live.values():
            if one.parts is not None:
                yield one, one.parts


def article_keys(changes: DocumentChanges, rewritten: Collection[bytes] = ()) -> ArticleKeys:
    """Return what must be loaded to decide the articles that `changes` touch.

    `rewritten`: articles that are written anew whatever their documents are.
    """
    documents = changes.documents.values()
    forms = {one.row.id for one in documents if one.is_shown_again}
    forms |= {one.row.id for _, one, before, _ in changes.updated if one.stored is not None and before is None}
    # Of the others only the revision changes.
    changing = [one for one in documents if one.is_reassigned or one.content is not None or not one.is_shown]
    anew = changes.touched & {h for one in changing for h in (one.described_before, one.row.article_hash)}
    return ArticleKeys(
        touched=changes.touched | set(rewritten),
        rewritten=anew - changes.subjects.keys() | set(rewritten),
        known=changes.documents.keys(),
        forms=forms,
        topics={subject for taxonomy, subject in changes.subjects.values() if taxonomy == "topic"},
    )


def decide_sources(
    changes: DocumentChanges,
    stored: StoredArticles,
    references: References,
    next_id: int,
    rewritten: Collection[bytes] = (),
) -> ArticleChanges:
    """Choose the source document of each touched article."""
    articles = ArticleChanges(count(next_id), stored.articles, stored.children)
    live = changes.by_article()
    for url_hash in sorted((changes.touched | set(rewritten)) - changes.subjects.keys()):
        row = stored.articles.get(url_hash)
        document = newest_document(live.get(url_hash, ()), stored.sources.get(url_hash))
        if document is not None:
            source = document.row
            parts = document.content if isinstance(document.content, ArticleParts) else None
            if parts is None and (row is None or row.document_id != source.id or url_hash in rewritten):
                form = source.form or stored.forms[source.id]
                parts = parts_of(document_from_json(form, source.secured), references)
            id_ = row.id if row is not None else next(articles.next_id)
            articles.live[url_hash] = Article(id_, url_hash, row, source, parts)
        elif row is not None and not row.is_stub:
            articles.undescribed[url_hash] = row
    return articles


def url_keys(
    articles: ArticleChanges, changes: DocumentChanges, domains: Collection[str], slugs: Collection[str]
) -> UrlKeys:
    """Return what must be loaded to decide what the URLs of the touched articles mean, and what their stubs show.

    `domains`, `slugs`: of the providers and topics that documents state.
    """
    before = articles.children
    urls, items = changes.reassigned(), changes.reassigned()
    unnamed, images, topics = set[bytes](), set[bytes](), set(slugs)
    for row in articles.rows.values():
        contained = before.named(row.id, "contains")
        urls |= before.claimed(row.id) | before.named(row.id, "related") | contained
        items |= contained
    for row in articles.undescribed.values():
        unnamed |= {row.url_hash} | before.claimed(row.id) | before.named(row.id, "related")
    for one, parts in articles.published():
        urls |= {one.url_hash} | parts.claimed | parts.mentions.keys() | parts.items
        items |= parts.items
        images |= parts.all_images
        topics |= parts.topics.keys()
        if one.row is not None:
            is_older = one.source.revision < one.row.revision
            named = before.named(one.id, "related")
            unnamed |= (before.claimed(one.id) - parts.claimed) | (named if is_older else named - parts.mentions.keys())
    return UrlKeys(
        urls=urls | unnamed,
        touched=[row.id for row in articles.rows.values()],
        undescribed=[row.id for row in articles.undescribed.values()],
        unnamed=unnamed - articles.live.keys(),
        revised=[one.id for one in articles.live.values() if one.parts is None],
        items=items,
        images=images,
        domains=domains,
        slugs=topics,
    )
