"""The rows that change when the articles and URLs of a batch are decided. Pure: no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from worker.enrichment.heat import Peer
from worker.enrichment.image_choice import SEVERAL_TITLES, best_image, image_hash
from worker.enrichment.providers import ProviderRef
from worker.heat_rules import AllRules
from worker.store.decide.article_heat import own_heat
from worker.store.decide.change_set import IMAGE, NAMES, PEERS, TARGET, ChangeSet, Operation
from worker.store.decide.rows.article_rows import SHOWN, ArticleParts, image_rows, orphan_row, stub_row
from worker.store.decide.rows.child_rows import Difference
from worker.store.decide.source_documents import Article, ArticleChanges
from worker.store.decide.stored import CHILD_KEYS, ArticleRow, Key, Row, StoredUrls, Values
from worker.store.decide.url_resolution import StubChange, Urls

_NAMES = ("id", *SHOWN)
_NEW_NAMES = ("id", "url_hash", "first_seen_at", *SHOWN)
_VISIBLE = (
    "canonical_url", "kind", "title", "excerpt", "published_at", "provider_id", "provider_name", "image_url", "quality",
    "extra", "orphaned_at",
)  # fmt: skip
"""What readers see of a stub."""


class ArticleWrites:
    """Collects the rows of articles and what belongs to them, and the background work that they cause."""

    def __init__(
        self, articles: ArticleChanges, urls: Urls, stored: StoredUrls, rules: AllRules, now: datetime
    ) -> None:
        self._articles, self._urls, self._stored, self._rules, self._now = articles, urls, stored, rules, now
        self._differences = [Difference(name) for name in CHILD_KEYS]
        self._marked = {use.url_hash for use in stored.images.values() if use.is_marked}
        self._listed = {target.target_id for target in stored.targets.values()}
        self._provider_names = {row.id: row.name for row in stored.providers.values()}
        self._stubs = [(stub, self._stub_columns(stub)) for stub in urls.stubs.values()]
        self._new: list[Values] = []
        self._rewritten: list[Values] = []
        self._titles_before: set[tuple[bytes, str]] = set()
        self._titles: set[tuple[bytes, str]] = set()
        self._peers: dict[int, Peer] = {}

    def write(self, changes: ChangeSet) -> None:
        """Add all writes of articles, child rows, links and work to `changes`. Sets the heat of the published articles."""
        urls = self._urls
        self._load_peers()
        for one, parts in self._articles.published():
            self._write_published(one, parts, changes)
        for stub, columns in self._stubs:
            self._write_stub(stub, columns, changes)
        revised = [
            (one.id, one.source.revision, one.source.secured)
            for one in self._articles.live.values()
            if one.parts is None and one.row is not None and one.row.revision != one.source.revision
        ]
        changes.insert("articles", _NEW_NAMES, self._new)
        changes.update("articles", _NAMES, self._rewritten)
        changes.update("articles", ("id", "revision", "named_by"), urls.renamed)
        changes.update("articles", ("id", "revision", "secured"), revised)
        for difference in self._differences:
            difference.write(changes, urls.targets)
        names = ("target_hash", "kind", "target_id")
        retargeted = [(h, kind, id_) for h, id_ in sorted(urls.retargeted.items()) for kind in ("related", "contains")]
        changes.add("links", Operation.UPDATE, names, names[:2], retargeted)
        changes.add_work(PEERS, urls.retargeted.values())
        changes.add_work(TARGET, urls.popular)
        self._add_work_on_images(changes)

    def _load_peers(self) -> None:
        for row in (*self._articles.rows.values(), *self._stored.articles.values()):
            self._peers[row.id] = _stored_peer(row)
        for claim in self._stored.alias_claims.values():
            peer = Peer(claim.quality, claim.published_at, claim.title, claim.article_hash)
            self._peers.setdefault(claim.article_id, peer)
        for stub, columns in self._stubs:
            self._peers[stub.id] = _peer(columns, stub.url_hash)
        for one, parts in self._articles.published():
            self._peers[one.id] = _peer(parts.columns, one.url_hash)

    def _write_published(self, one: Article, parts: ArticleParts, changes: ChangeSet) -> None:
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
        self._write_row(one.id, one.url_hash, one.row, columns, changes)
        self._compare(one.id, one.row, children)
        self._titles |= {(digest, parts.title or "") for digest in parts.image_hashes}

    def _provider_id(self, provider: ProviderRef | None) -> int | None:
        return self._stored.providers[provider.domain].id if provider is not None else None

    def _heat_columns(self, one: Article, parts: ArticleParts) -> Row:
        copy, targets = parts.copy, self._urls.targets
        related = []
        for rank, mention in enumerate(copy.related):
            target = targets[mention.url_hash]
            if target is not None and parts.mentions[mention.url_hash] is mention:
                related.append((rank, target))
        heat = own_heat(
            one.id,
            copy.quality,
            related=related,
            peers=self._peers,
            count=copy.related_count,
            outranked_by=copy.outranked_by,
            rules=self._rules.of(one.source.source),
        )
        if heat is None:
            return {}
        one.heat = heat[0]
        return heat[1]

    def _stub_columns(self, stub: StubChange) -> Row:
        mention = stub.mention
        if mention is None:
            return orphan_row(stub.row.canonical_url if stub.row is not None else None, self._now)
        provider_id = self._provider_id(mention.provider)
        return stub_row(mention, named_by=stub.named_by, revision=stub.revision, provider_id=provider_id, now=self._now)

    def _write_stub(self, stub: StubChange, columns: Row, changes: ChangeSet) -> None:
        """Write a stub, which has images and no other child rows.

        If it shows an equal entry of another article, only its source changes, and the linker need not process it
        again.
        """
        images, row = stub.mention.images if stub.mention is not None else [], stub.row
        if images:
            columns["image_url"] = best_image(images, self._marked)
            changes.add_work(IMAGE, {image_hash(one.url) for one in images} - self._stored.images.keys())
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
            self._write_row(stub.id, stub.url_hash, row, columns, changes)
            self._compare(stub.id, row, {"images": wanted})

    def _write_row(self, id_: int, url_hash: bytes, row: ArticleRow | None, columns: Row, changes: ChangeSet) -> None:
        """Write an article; add the work on the heat of those that list it, and on the names of its provider.

        Most articles repeat the provider's current name; these are skipped.
        """
        values = [columns[name] for name in SHOWN]
        provider_id, name = columns["provider_id"], columns["provider_name"]
        if row is None:
            self._new.append((id_, url_hash, self._now, *values))
        else:
            self._rewritten.append((id_, *values))
            if id_ in self._listed and _stored_peer(row) != self._peers[id_]:
                changes.add_work(PEERS, [id_])
            if (row.provider_id, row.provider_name) == (provider_id, name):
                return
            if row.provider_name:
                changes.add_work(NAMES, [row.provider_id])
        if isinstance(provider_id, int) and name and self._provider_names.get(provider_id) != name:
            changes.add_work(NAMES, [provider_id])

    def _compare(self, id_: int, row: ArticleRow | None, wanted: Mapping[str, Mapping[Key, Values]]) -> None:
        children = self._articles.children
        for difference in self._differences:
            difference.compare(id_, children.of(difference.table, id_), wanted.get(difference.table, {}))
        if row is not None and not row.is_stub:
            images = children.of("images", id_).values()
            self._titles_before |= {
                (digest, row.title or "") for (*_, digest, _) in images if isinstance(digest, bytes)
            }

    def _add_work_on_images(self, changes: ChangeSet) -> None:
        """Add the work of counting titles for each image that may have become a placeholder or ceased to be one."""
        uses = self._stored.images
        for digest, number in Counter(digest for digest, _ in self._titles - self._titles_before).items():
            if digest not in uses or (not uses[digest].is_marked and uses[digest].uses + number >= SEVERAL_TITLES):
                changes.add_work(IMAGE, [digest])
        for digest, _ in self._titles_before - self._titles:
            if digest not in uses or uses[digest].is_marked:
                changes.add_work(IMAGE, [digest])


def _stored_peer(row: ArticleRow) -> Peer:
    return Peer(row.quality, row.published_at, row.title, row.url_hash)


def _peer(row: Row, url_hash: bytes) -> Peer:
    return Peer(row["quality"], row["published_at"], row["title"], url_hash)  # type: ignore[arg-type]  # of these columns
