"""Decide what URLs mean and what stubs show, after the source documents of the touched articles are chosen. Pure.

The rules are in `identity.py`. A URL is decided again if a touched article is known by it, claims it or names it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from worker.enrichment.document_json import document_from_json
from worker.enrichment.enriched_document import EnrichedDocument, Mention
from worker.store.decide import stored as bounds
from worker.store.decide.article_sources import ArticleChanges, ListedBefore, Moved, Published
from worker.store.decide.documents import DocumentChanges
from worker.store.decide.identity import AliasClaim, Reference, newest_mention, resolve_url
from worker.store.decide.rows.article_rows import NotPrepared, Shared, orphan_row, stub_row
from worker.store.decide.stored import ArticleRow, Row, StoredUrls, UrlKeys


@dataclass(slots=True)
class StubChange:
    """The new content of a stub. `row`: as it is stored, None if it is new. `mention` is None for an orphan."""

    id: int
    url_hash: bytes
    row: ArticleRow | None
    columns: Row
    mention: Mention | None


@dataclass(slots=True)
class UrlChanges:
    """What the URLs mean after the batch.

    `targets`: url_hash → id of the article to which links to this URL point. `stubs`: stubs and orphans to write.
    `renamed`: stubs that show an equal entry of another article or revision. `retargeted`: URLs whose stored links
    point elsewhere. `popular`: URLs about which more articles decide than were read; they are decided again in the
    background (`background/target_step.py`). `mentioned`: URLs whose stub shows an entry that names them.
    """

    targets: dict[bytes, int | None] = field(default_factory=dict)
    stubs: dict[bytes, StubChange] = field(default_factory=dict)
    renamed: list[Row] = field(default_factory=list)
    retargeted: dict[bytes, int | None] = field(default_factory=dict)
    popular: set[bytes] = field(default_factory=set)
    mentioned: set[bytes] = field(default_factory=set)


class _Urls:
    def __init__(
        self,
        articles: ArticleChanges,
        before: ListedBefore,
        stored: StoredUrls,
        touched: set[int],
        shared: Shared,
        now: datetime,
    ) -> None:
        self.articles, self.before, self.stored, self.now = articles, before, stored, now
        self.touched, self.shared = touched, shared
        self.changes = UrlChanges()
        self.live = dict(articles.live())
        self.claims: dict[bytes, list[AliasClaim]] = defaultdict(list)
        self.namers: dict[bytes, list[Reference]] = defaultdict(list)
        self.by_id: dict[int, Published | Moved] = {}
        self.documents: dict[int, EnrichedDocument] = {}
        for one in self.live.values():
            self._note(one)
        for row in stored.alias_claims.values():
            self.claims[row.url_hash].append(AliasClaim(row.article_id, row.revision))

    def _note(self, one: Published | Moved) -> None:
        self.by_id[one.id] = one
        claimed = one.parts.claimed if isinstance(one, Published) else self.before.claimed(one.id)
        named = one.parts.mentions.keys() if isinstance(one, Published) else self.before.named(one.id, items=False)
        for url_hash in claimed:
            self.claims[url_hash].append(AliasClaim(one.id, one.source.revision))
        for url_hash in named:
            self.namers[url_hash].append(Reference(one.id, one.source.revision))

    def row_of(self, url_hash: bytes) -> ArticleRow | None:
        return self.articles.rows.get(url_hash) or self.stored.articles.get(url_hash)

    def article_of(self, url_hash: bytes) -> int | None:
        """Return the id of the article with a live document that is known by this URL."""
        live = self.live.get(url_hash)
        if live is not None:
            return live.id
        row = self.row_of(url_hash)
        is_published = row is not None and not row.is_stub and url_hash not in self.articles.left
        return row.id if row is not None and is_published else None

    def decide(self, url_hash: bytes, item: int | None) -> None:
        """Decide one URL. `item`: the article that the document with this identity describes."""
        own = self.article_of(url_hash)
        target = resolve_url(url_hash, {url_hash: own} if own is not None else {}, self.claims)
        if item is not None:
            target = item
        row = self.row_of(url_hash)
        reference = self._newest_mention(url_hash, row) if target is None else None
        if reference is not None:
            self.changes.mentioned.add(url_hash)
            target = self._show(url_hash, row, reference)
        elif own is None and row is not None and (row.orphaned_at is None or not row.is_stub):
            self._empty(url_hash, row)
        self.changes.targets[url_hash] = target

    def _newest_mention(self, url_hash: bytes, row: ArticleRow | None) -> Reference | None:
        namers = list(self.namers.get(url_hash, ()))
        other = self.stored.namers.get(url_hash)
        if other is not None:
            namers.append(Reference(other.article_id, other.revision))
        if row is not None and row.is_stub and row.named_by is not None and row.named_by not in self.touched:
            namers.append(Reference(row.named_by, row.revision))
        return newest_mention(namers)

    def _show(self, url_hash: bytes, row: ArticleRow | None, reference: Reference) -> int:
        """Make a stub show the entry of `reference`; returns the stub's id."""
        if (
            row is not None
            and row.is_stub
            and (row.named_by, row.revision) == (reference.article_id, reference.revision)
        ):
            return row.id
        renamed = {"named_by": reference.article_id, "revision": reference.revision}
        if row is not None and row.is_stub and row.named_by == reference.article_id and self._is_moved(row.named_by):
            self.changes.renamed.append({"id": row.id, **renamed})
            return row.id
        mention, provider_id = self._mention(url_hash, reference)
        columns = stub_row(
            mention,
            named_by=reference.article_id,
            revision=reference.revision,
            provider_id=provider_id,
            marked=(),
            now=self.now,
        )
        id_ = row.id if row is not None else next(self.articles.next_id)
        self.changes.stubs[url_hash] = StubChange(id_, url_hash, row, columns, mention)
        return id_

    def _is_moved(self, article_id: int) -> bool:
        return isinstance(self.by_id.get(article_id), Moved)

    def _mention(self, url_hash: bytes, reference: Reference) -> tuple[Mention, int | None]:
        """Return the entry of an article that names a URL, and the id of the provider in it."""
        one = self.by_id.get(reference.article_id)
        if isinstance(one, Published):
            mention = one.parts.mentions[url_hash]
            return mention, one.parts.stub_providers[mention.provider.domain] if mention.provider else None
        other = self.stored.namers.get(url_hash)
        if one is None and other is not None and other.article_id == reference.article_id:
            form = other.form
        else:
            form = self.stored.forms[reference.article_id]
        document = self.documents.get(reference.article_id)
        if document is None:
            document = self.documents[reference.article_id] = document_from_json(form, None)
        mention = next(one for one in document.related if one.url_hash == url_hash)
        try:
            return mention, self.shared.provider_id(mention.provider.domain) if mention.provider else None
        except KeyError:
            raise NotPrepared(document) from None

    def _empty(self, url_hash: bytes, row: ArticleRow) -> None:
        """Clear an article that no document describes and no link names, or whose URL means another article now."""
        columns = orphan_row(row.canonical_url, self.now)
        self.changes.stubs[url_hash] = StubChange(row.id, url_hash, row, columns, None)


def decide_urls(
    articles: ArticleChanges,
    before: ListedBefore,
    changes: DocumentChanges,
    stored: StoredUrls,
    keys: UrlKeys,
    shared: Shared,
    now: datetime,
) -> UrlChanges:
    """Decide each of the URLs `keys.urls`. Raises NotPrepared."""
    urls = _Urls(articles, before, stored, set(keys.touched), shared, now)
    items = set(keys.items)
    for url_hash in sorted(keys.urls):
        item = _article_of_item(url_hash, urls.live, changes, stored) if url_hash in items else None
        urls.decide(url_hash, item)
    _retarget(stored, urls.changes, set(keys.unnamed))
    return urls.changes


def _article_of_item(
    doc_hash: bytes, live: Mapping[bytes, Published | Moved], changes: DocumentChanges, stored: StoredUrls
) -> int | None:
    """Return the id of the article that a document describes; None: it describes none that is stored."""
    known = changes.documents.get(doc_hash)
    if known is None or not (known.is_changed or doc_hash in changes.retracted):
        return stored.items.get(doc_hash)
    article = live.get(known.state.article_hash or b"") if known.state.is_live else None
    return article.id if article is not None else None


def _retarget(stored: StoredUrls, changes: UrlChanges, unnamed: set[bytes]) -> None:
    """Set `retargeted` and `popular`."""
    for target in stored.targets.values():
        url_hash, is_popular = target.target_hash, target.namers >= bounds.MOST_NAMERS
        is_moved = target.target_id != changes.targets[url_hash]
        if is_popular and (is_moved or (url_hash in unnamed and url_hash in changes.mentioned)):
            changes.popular.add(url_hash)
        elif is_moved:
            changes.retargeted[url_hash] = changes.targets[url_hash]
    changes.popular |= {row.url_hash for row in stored.alias_claims.values() if row.claims >= bounds.MOST_NAMERS}
