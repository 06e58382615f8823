"""The rows that change when the articles and URLs of a batch are decided. Pure: no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from worker.enrichment.heat import Peer, article_heat
from worker.enrichment.image_choice import SEVERAL_TITLES, best_image
from worker.enrichment.providers import ProviderRef
from worker.heat_rules import AllRules
from worker.store.decide.article_rows import SHOWN, ArticleParts, image_hashes_of, image_rows, orphan_row, stub_row
from worker.store.decide.change_set import IMAGE, NAMES, PEERS, TARGET, ChangeSet, ChildChanges, Operation
from worker.store.decide.source_documents import Article, ArticleChanges
from worker.store.decide.stored import CHILD_KEYS, ArticleRow, Key, Row, StoredUrls, Values
from worker.store.decide.url_resolution import StubChange, Urls

_VISIBLE = (
    "canonical_url", "kind", "title", "excerpt", "published_at", "provider_id", "provider_name", "image_url", "quality",
    "extra", "orphaned_at",
)  # fmt: skip
"""What readers see of a stub."""


class ArticleWrites:
    """Collects the rows of articles and what belongs to them, and the background work that they cause."""

    def __init__(
        self,
        articles: ArticleChanges,
        urls: Urls,
        stored: StoredUrls,
        rules: AllRules,
        now: datetime,
        changes: ChangeSet,
    ) -> None:
        self._articles, self._urls, self._stored = articles, urls, stored
        self._rules, self._now, self._changes = rules, now, changes
        self._children = [ChildChanges(name) for name in CHILD_KEYS]
        self._marked = {use.url_hash for use in stored.images.values() if use.is_marked}
        self._listed = {target.target_id for target in stored.targets.values()}
        self._provider_names = {row.id: row.name for row in stored.providers.values()}
        self._stubs = [(stub, self._stub_columns(stub)) for stub in urls.stubs]
        self._new: list[Values] = []
        self._rewritten: list[Values] = []
        self._titles_before: set[tuple[bytes, str]] = set()
        self._titles: set[tuple[bytes, str]] = set()
        self._peers = self._all_peers()

    def _all_peers(self) -> dict[int, Peer]:
        """Return what decides heat of all articles that a URL of the batch may mean."""
        claims = self._stored.alias_claims.values()
        peers = {row.article_id: Peer(row.quality, row.published_at, row.title, row.article_hash) for row in claims}
        for row in (*self._articles.rows.values(), *self._stored.articles.values()):
            peers[row.id] = _stored_peer(row)
        for stub, columns in self._stubs:
            peers[stub.id] = _peer(columns, stub.url_hash)
        for one, parts in self._articles.published():
            peers[one.id] = _peer(parts.columns, one.url_hash)
        return peers

    def write(self) -> None:
        """Add all writes of articles, child rows, links and work. Sets the heat of the published articles."""
        urls, changes = self._urls, self._changes
        for one, parts in self._articles.published():
            self._write_published(one, parts)
        for stub, columns in self._stubs:
            self._write_stub(stub, columns)
        revised = [
            (one.id, one.source.revision, one.source.secured)
            for one in self._articles.live.values()
            if one.parts is None and one.row is not None and one.row.revision != one.source.revision
        ]
        changes.insert("articles", ("id", "url_hash", "first_seen_at", *SHOWN), self._new)
        changes.update("articles", ("id", *SHOWN), self._rewritten)
        changes.update("articles", ("id", "revision", "named_by"), urls.renamed)
        changes.update("articles", ("id", "revision", "secured"), revised)
        for child_changes in self._children:
            child_changes.write(changes, urls.targets)
        names = ("target_hash", "kind", "target_id")
        retargeted = [(h, kind, id_) for h, id_ in sorted(urls.retargeted.items()) for kind in ("related", "contains")]
        changes.add("links", Operation.UPDATE, names, names[:2], retargeted)
        changes.add_work(PEERS, urls.retargeted.values())
        changes.add_work(TARGET, urls.popular)
        changes.add_work(IMAGE, self._recounted_images())

    def _write_published(self, one: Article, parts: ArticleParts) -> None:
        source = one.source
        columns: Row = {
            **parts.columns, **self._heat_columns(one, parts), "secured": source.secured, "document_id": source.id,
            "provider_id": self._provider_id(parts.copy.provider),
            "revision": source.revision, "pipeline_version": source.pipeline_version, "changed_at": self._now,
        }  # fmt: skip
        topics: dict[Key, Values] = {(self._stored.topics[slug].id,): values for slug, values in parts.topics.items()}
        children = {**parts.children, "article_topics": topics}
        if not parts.image_hashes.isdisjoint(self._marked):
            columns["image_url"] = best_image(parts.copy.images, self._marked)
            children["images"] = image_rows(parts.copy.images, self._marked)
        self._write_row(one, columns, children)
        self._titles |= {(digest, parts.title or "") for digest in parts.image_hashes}

    def _provider_id(self, provider: ProviderRef | None) -> int | None:
        return self._stored.providers[provider.domain].id if provider is not None else None

    def _heat_columns(self, one: Article, parts: ArticleParts) -> Row:
        copy, targets = parts.copy, self._urls.targets
        related = [
            (rank, target)
            for rank, mention in enumerate(copy.related)
            if (target := targets[mention.url_hash]) is not None and parts.mentions[mention.url_hash] is mention
        ]
        one.heat = article_heat(
            one.id,
            related,
            self._peers,
            count=copy.related_count,
            outranked_by=copy.outranked_by,
            rules=self._rules.of(one.source.source),
        )
        return one.heat._asdict() if one.heat is not None else {}

    def _stub_columns(self, stub: StubChange) -> Row:
        mention = stub.mention
        if mention is None:
            return orphan_row(stub.row.canonical_url if stub.row is not None else None, self._now)
        columns = stub_row(mention, stub.named_by, stub.revision, self._provider_id(mention.provider), self._now)
        return columns | {"image_url": best_image(mention.images, self._marked)}

    def _write_stub(self, stub: StubChange, columns: Row) -> None:
        """Write a stub, which has images and no other child rows.

        If it shows an equal entry of another article, only its source changes, and the linker need not process it
        again.
        """
        images, row = stub.mention.images if stub.mention is not None else [], stub.row
        self._changes.add_work(IMAGE, image_hashes_of(images) - self._stored.images.keys())
        wanted = image_rows(images, self._marked)
        is_equal = (
            row is not None
            and row.is_stub
            and wanted == self._articles.children.of("images", stub.id)
            and all(getattr(row, name) == columns[name] for name in _VISIBLE)
        )
        if is_equal:
            self._urls.renamed.append((stub.id, stub.revision, stub.named_by))
        else:
            self._write_row(stub, columns, {"images": wanted})

    def _write_row(self, one: Article | StubChange, columns: Row, children: Mapping[str, Mapping[Key, Values]]) -> None:
        """Write an article and its child rows, and add the work on the heat of those that list it."""
        values, row, stored = [columns[name] for name in SHOWN], one.row, self._articles.children
        for child_changes in self._children:
            table = child_changes.table
            child_changes.compare(one.id, stored.of(table, one.id), children.get(table, {}))
        if row is None:
            self._new.append((one.id, one.url_hash, self._now, *values))
        else:
            self._rewritten.append((one.id, *values))
            if one.id in self._listed and _stored_peer(row) != self._peers[one.id]:
                self._changes.add_work(PEERS, [one.id])
            if not row.is_stub:
                hashes = [image[-2] for image in stored.of("images", one.id).values()]
                self._titles_before |= {(h, row.title or "") for h in hashes if isinstance(h, bytes)}
        self._add_work_on_names(row, columns["provider_id"], columns["provider_name"])

    def _add_work_on_names(self, row: ArticleRow | None, provider_id: object, name: object) -> None:
        """Most articles repeat the provider's current name; these are skipped."""
        if row is not None and (row.provider_id, row.provider_name) == (provider_id, name):
            return
        if row is not None and row.provider_name:
            self._changes.add_work(NAMES, [row.provider_id])
        if isinstance(provider_id, int) and name and self._provider_names.get(provider_id) != name:
            self._changes.add_work(NAMES, [provider_id])

    def _recounted_images(self) -> list[bytes]:
        """Return the images that may have become placeholders or ceased to be: their titles are counted again."""
        uses, removed = self._stored.images, self._titles_before - self._titles
        added = Counter(h for h, _ in self._titles - self._titles_before)
        recounted = [h for h, _ in removed if h not in uses or uses[h].is_marked]
        for h, number in added.items():
            if h not in uses or (not uses[h].is_marked and uses[h].uses + number >= SEVERAL_TITLES):
                recounted.append(h)
        return recounted


def _stored_peer(row: ArticleRow) -> Peer:
    return Peer(row.quality, row.published_at, row.title, row.url_hash)


def _peer(row: Row, url_hash: bytes) -> Peer:
    return Peer(row["quality"], row["published_at"], row["title"], url_hash)  # type: ignore[arg-type]  # of these columns
