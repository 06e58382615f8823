"""Decide what URLs mean and what stubs show, after the source documents of the touched articles are chosen. Pure.

The rules are in `identity.py`. A URL is decided again if a touched article is known by it, claims it or names it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from worker.enrichment.document_json import document_from_json
from worker.enrichment.enriched_document import EnrichedDocument, Mention
from worker.store.decide import stored as bounds
from worker.store.decide.documents import DocumentChanges
from worker.store.decide.source_documents import Article, ArticleChanges
from worker.store.decide.stored import ArticleRow, StoredUrls, UrlKeys, Values

_Namer = tuple[str, int]
"""The revision and the id of an article that names or claims a URL. The greatest counts."""


@dataclass(slots=True)
class StubChange:
    """The new content of a stub. `row`: as it is stored, None if it is new.

    `mention`: the entry that it shows, of the article `named_by` in `revision`. None: it is an orphan.
    """

    id: int
    url_hash: bytes
    row: ArticleRow | None
    mention: Mention | None = None
    named_by: int | None = None
    revision: str = ""


class Urls:
    """What the URLs of a batch mean after it.

    `targets`: url_hash → id of the article to which links to this URL point. `stubs`: stubs and orphans to write.
    `renamed`: (id, revision, `named_by`) of stubs that show an equal entry of another article or revision.
    `retargeted`: URLs whose stored links point elsewhere. `popular`: URLs about which more articles decide than were
    read; they are decided again in the background (`background/target_step.py`).
    """

    def __init__(self, articles: ArticleChanges, documents: DocumentChanges, keys: UrlKeys, stored: StoredUrls) -> None:
        """Decide each of `keys.urls` and `keys.reassigned`."""
        self.targets: dict[bytes, int | None] = {}
        self.stubs: list[StubChange] = []
        self.renamed: list[Values] = []
        self.retargeted: dict[bytes, int | None] = {}
        self.popular: set[bytes] = set()
        self._articles, self._keys, self._stored = articles, keys, stored
        self._rows = {**stored.articles, **articles.rows}
        self._by_id = {one.id: one for one in articles.live.values()}
        self._read_forms: dict[int, EnrichedDocument] = {}
        known_by = {h: row.id for h, row in self._rows.items() if not row.is_stub and h not in articles.undescribed}
        known_by |= {h: one.id for h, one in articles.live.items()}
        items = self._items(documents, known_by)
        claims, namers = self._claims_and_namers()
        mentioned = set[bytes]()
        for url_hash in sorted({*keys.urls, *keys.reassigned}):
            row, own = self._rows.get(url_hash), known_by.get(url_hash)
            namer = max(namers[url_hash], default=None)
            # Ids begin with 1. The rules are in the order of `identity.py`; items of collections come first.
            target = items.get(url_hash) or own or max(claims[url_hash], default=("", None))[1]
            if target is None and namer is not None:
                target = self._show(url_hash, row, namer)
                mentioned.add(url_hash)
            elif own is None and row is not None and (row.orphaned_at is None or not row.is_stub):
                # No document describes the article and no link names it, or its URL means another article now.
                self.stubs.append(StubChange(row.id, url_hash, row))
            self.targets[url_hash] = target
        self._retarget(mentioned.intersection(keys.unnamed))

    def _items(self, documents: DocumentChanges, known_by: Mapping[bytes, int]) -> dict[bytes, int | None]:
        """Return doc_hash → id of the article that the document describes, for the items of collections."""
        items = {h: self._stored.items.get(h) for h in self._keys.items}
        of_batch = {h: documents.documents[h].row.article_hash or b"" for h in self._keys.reassigned}
        return items | {h: known_by.get(article_hash) for h, article_hash in of_batch.items()}

    def _claims_and_namers(self) -> tuple[defaultdict[bytes, list[_Namer]], defaultdict[bytes, list[_Namer]]]:
        """Return who claims and who names each URL."""
        claims, namers = defaultdict[bytes, list[_Namer]](list), defaultdict[bytes, list[_Namer]](list)
        before = self._articles.children
        for one in self._articles.live.values():
            namer, parts = (one.source.revision, one.id), one.parts
            for url_hash in parts.claimed if parts is not None else before.claimed(one.id):
                claims[url_hash].append(namer)
            for url_hash in parts.mentions if parts is not None else before.named(one.id, "related"):
                namers[url_hash].append(namer)
        for claim in self._stored.alias_claims.values():
            claims[claim.url_hash].append((claim.revision, claim.article_id))
        for other in self._stored.namers.values():
            namers[other.url_hash].append((other.revision, other.article_id))
        for row in self._rows.values():
            if row.is_stub and row.named_by is not None and row.named_by not in self._keys.touched:
                namers[row.url_hash].append((row.revision, row.named_by))
        return claims, namers

    def _show(self, url_hash: bytes, row: ArticleRow | None, namer: _Namer) -> int:
        """Make a stub show the entry of the namer; returns the stub's id."""
        revision, article_id = namer
        article = self._by_id.get(article_id)
        if row is not None and row.is_stub and row.named_by == article_id:
            if row.revision == revision:
                return row.id
            if article is not None and article.parts is None:
                self.renamed.append((row.id, revision, article_id))
                return row.id
        id_ = row.id if row is not None else next(self._articles.next_id)
        mention = self._mention(url_hash, article_id, article)
        self.stubs.append(StubChange(id_, url_hash, row, mention, article_id, revision))
        return id_

    def _mention(self, url_hash: bytes, article_id: int, article: Article | None) -> Mention:
        """Return the entry for a URL of an article that names it. `article`: this article if the batch touches it."""
        if article is not None and article.parts is not None:
            return article.parts.mentions[url_hash]
        if article_id not in self._read_forms:
            form = self._stored.forms[article_id] if article is not None else self._stored.namers[url_hash].form
            self._read_forms[article_id] = document_from_json(form, None)
        return next(one for one in self._read_forms[article_id].related if one.url_hash == url_hash)

    def stub_domains(self) -> set[str]:
        """Return the domains of the providers of the stubs."""
        mentions = [one.mention for one in self.stubs]
        return {one.provider.domain for one in mentions if one is not None and one.provider is not None}

    def _retarget(self, uncertain: set[bytes]) -> None:
        """Set `retargeted` and `popular`. `uncertain`: URLs that mean a stub whose newest namer may not have been read."""
        for url_hash, namers, target_id in self._stored.targets.values():
            is_another = target_id != self.targets[url_hash]
            if namers >= bounds.MOST_NAMERS and (is_another or url_hash in uncertain):
                self.popular.add(url_hash)
            elif is_another:
                self.retargeted[url_hash] = self.targets[url_hash]
        self.popular |= {row.url_hash for row in self._stored.alias_claims.values() if row.claims >= bounds.MOST_NAMERS}
