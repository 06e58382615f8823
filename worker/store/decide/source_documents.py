"""Decide which document each touched article shows, and what must be loaded for that. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from worker.enrichment.document_json import document_from_json
from worker.enrichment.heat import ArticleHeat
from worker.enrichment.reference_documents import ReferenceCopy, References, reference_from_form
from worker.store.decide.article_rows import ArticleParts, parts_of
from worker.store.decide.documents import Document, DocumentChanges
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
    heat: ArticleHeat | None = None

    @property
    def canonical_url(self) -> str | None:
        if self.parts is not None:
            return self.parts.copy.canonical_url
        return self.row.canonical_url if self.row is not None else None


class Subject(NamedTuple):
    """A provider or topic whose reference documents changed.

    `name`: the domain of a provider, the slug of a topic. `document_id`: of the newest live reference document, None if
    there is none; `content`: what that says, or nothing but the name.
    """

    taxonomy: str
    name: str
    document_id: int | None
    content: ReferenceCopy


@dataclass(slots=True)
class ArticleChanges:
    """The touched articles after the batch, by url_hash. `undescribed`: no document describes them any more.

    `rows`, `children`: as they are stored. `next_id`: the ids of new articles. `subjects`: what touched reference
    documents are about.
    """

    next_id: Iterator[int]
    rows: dict[bytes, ArticleRow] = field(default_factory=dict)
    children: Children = field(default_factory=Children)
    live: dict[bytes, Article] = field(default_factory=dict)
    undescribed: dict[bytes, ArticleRow] = field(default_factory=dict)
    subjects: list[Subject] = field(default_factory=list)

    def published(self) -> Iterator[tuple[Article, ArticleParts]]:
        """Yield the articles whose content is written."""
        for one in self.live.values():
            if one.parts is not None:
                yield one, one.parts


def article_keys(changes: DocumentChanges, rewritten: Collection[bytes] = ()) -> ArticleKeys:
    """Return what must be loaded to decide the articles that `changes` touch.

    `rewritten`: articles that are written anew whatever their documents are.
    """
    forms = {one.row.id for _, one, before, _ in changes.updated if one.stored is not None and before is None}
    anew = set[bytes | None]()
    for one in changes.documents.values():
        # Of the other articles only the revision changes.
        if one.is_reassigned or one.content is not None or not one.is_shown:
            anew |= {one.described_before, one.row.article_hash}
        # Its article may fall back to it.
        if one.stored is not None and not one.is_shown and one.content is None and one.row.is_live:
            forms.add(one.row.id)
    return ArticleKeys(
        touched=changes.touched | set(rewritten),
        rewritten=(changes.touched & anew) - changes.subjects.keys() | set(rewritten),
        known=changes.documents.keys(),
        forms=forms,
    )


def decide_sources(
    changes: DocumentChanges,
    stored: StoredArticles,
    references: References,
    next_id: int,
    rewritten: Collection[bytes] = (),
) -> ArticleChanges:
    """Choose the document that each touched article, or subject of reference documents, shows."""
    articles = ArticleChanges(count(next_id), stored.articles, stored.children)
    for url_hash, document in changes.newest(changes.touched | set(rewritten), stored.sources):
        row = stored.articles.get(url_hash)
        if url_hash in changes.subjects:
            articles.subjects.append(_subject(*changes.subjects[url_hash], document))
        elif document is not None:
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


def _subject(taxonomy: str, name: str, document: Document | None) -> Subject:
    if document is None:
        return Subject(taxonomy, name, None, ReferenceCopy(taxonomy, name, name))
    content = document.content
    if not isinstance(content, ReferenceCopy):
        content = reference_from_form(document.row.form or "")
    return Subject(taxonomy, name, document.row.id, content)


def url_keys(
    articles: ArticleChanges, changes: DocumentChanges, domains: Collection[str], slugs: Collection[str]
) -> UrlKeys:
    """Return what must be loaded to decide what the URLs of the touched articles mean, and what their stubs show.

    `domains`, `slugs`: of the providers and topics that documents state.
    """
    before = articles.children
    urls, items, unnamed, images, topics = set[bytes](), set[bytes](), set[bytes](), set[bytes](), set(slugs)
    for row in articles.rows.values():
        items |= before.named(row.id, "contains")
        urls |= before.claimed(row.id) | before.named(row.id, "related")
    for row in articles.undescribed.values():
        unnamed |= {row.url_hash} | before.claimed(row.id) | before.named(row.id, "related")
    for one, parts in articles.published():
        urls |= {one.url_hash} | parts.claimed | parts.mentions.keys()
        items |= parts.items
        images |= parts.all_images
        topics |= parts.topics.keys()
        if one.row is not None:
            is_older = one.source.revision < one.row.revision
            named = before.named(one.id, "related")
            unnamed |= (before.claimed(one.id) - parts.claimed) | (named if is_older else named - parts.mentions.keys())
    return UrlKeys(
        urls=urls | items | unnamed,
        touched={row.id for row in articles.rows.values()},
        undescribed=[row.id for row in articles.undescribed.values()],
        unnamed=unnamed - articles.live.keys(),
        revised=[one.id for one in articles.live.values() if one.parts is None],
        items=items,
        reassigned={h for h, one in changes.documents.items() if one.is_reassigned},
        images=images,
        domains=domains,
        slugs=topics,
    )
