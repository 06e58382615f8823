"""The rows that change when the articles and URLs of a batch are decided. Pure: no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from worker.enrichment.heat import Peer
from worker.enrichment.image_choice import SEVERAL_TITLES, best_image, image_hash
from worker.heat_rules import AllRules
from worker.store.decide import stored as bounds
from worker.store.decide.article_heat import own_heat
from worker.store.decide.change_set import IMAGE, NAMES, PEERS, TARGET, ChangeSet, Operation, Work
from worker.store.decide.rows.article_rows import SHOWN, ArticleParts, image_rows
from worker.store.decide.rows.child_rows import Difference
from worker.store.decide.stored import CHILD_KEYS, ArticleRow, Key, Row, StoredUrls, Values
from worker.store.decide.touched_articles import Article, ArticleChanges
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
        self, articles: ArticleChanges, urls: Urls, stored: StoredUrls, rules: AllRules, work: Work, now: datetime
    ) -> None:
        self._articles, self._urls, self._stored = articles, urls, stored
        self._rules, self._work, self._now = rules, work, now
        self._differences = [Difference(name) for name in CHILD_KEYS]
        self._marked = {use.url_hash for use in stored.images.values() if use.is_marked}
        self._new: list[Values] = []
        self._rewritten: list[Values] = []
        self._titles_before: set[tuple[bytes, str]] = set()
        self._titles: set[tuple[bytes, str]] = set()
        self._peers: dict[int, Peer] = {}

    def write(self, changes: ChangeSet) -> None:
        """Add all writes of articles, child rows and links to `changes`. Sets the heat of the published articles."""
        self._load_peers()
        for one, parts in self._articles.published():
            self._write_published(one, parts)
        for stub in self._urls.stubs.values():
            self._write_stub(stub)
        changes.insert("articles", _NEW_NAMES, self._new)
        changes.update("articles", _NAMES, self._rewritten)
        changes.update("articles", ("id", "revision", "named_by"), self._urls.renamed)
        moved = [one for one in self._articles.live.values() if one.parts is None]
        changes.update(
            "articles",
            ("id", "revision", "secured"),
            [
                (one.id, one.source.revision, one.source.secured)
                for one in moved
                if one.row is not None and one.row.revision != one.source.revision
            ],
        )
        for difference in self._differences:
            difference.write(changes, self._urls.targets)
        retargeted = [
            (h, kind, target) for h, target in sorted(self._urls.retargeted.items()) for kind in ("related", "contains")
        ]
        names = ("target_hash", "kind", "target_id")
        changes.add("links", Operation.UPDATE, names, names[:2], retargeted)
        self._add_work_on_peers()
        self._add_work_on_images()

    def _load_peers(self) -> None:
        for row in (*self._articles.rows.values(), *self._stored.articles.values()):
            self._peers[row.id] = Peer(row.quality, row.published_at, row.title, row.url_hash)
        for claim in self._stored.alias_claims.values():
            peer = Peer(claim.quality, claim.published_at, claim.title, claim.article_hash)
            self._peers.setdefault(claim.article_id, peer)
        for stub in self._urls.stubs.values():
            self._peers[stub.id] = _peer(stub.columns, stub.url_hash)
        for one, parts in self._articles.published():
            self._peers[one.id] = _peer(parts.columns, one.url_hash)

    def _write_published(self, one: Article, parts: ArticleParts) -> None:
        source = one.source
        columns: Row = {
            **parts.columns, **self._heat_columns(one, parts), "secured": source.secured, "document_id": source.id,
            "revision": source.revision, "pipeline_version": source.pipeline_version, "changed_at": self._now,
        }  # fmt: skip
        if not parts.image_hashes.isdisjoint(self._marked):
            columns["image_url"] = best_image(parts.copy.images, self._marked)
        self._write_row(one.id, one.url_hash, one.row, columns)
        self._compare(one.id, parts.child_rows(self._marked))
        if one.row is not None and not one.row.is_stub:
            self._titles_before |= self._stored_titles(one.row)
        self._titles |= {(digest, parts.title or "") for digest in parts.image_hashes}

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

    def _write_stub(self, stub: StubChange) -> None:
        """Write a stub, which has images and no other child rows.

        If it shows an equal entry of another article, only its source changes, and the linker need not process it
        again.
        """
        images, row = stub.mention.images if stub.mention is not None else [], stub.row
        if images:
            stub.columns["image_url"] = best_image(images, self._marked)
            self._work.add_hashes(IMAGE, {image_hash(one.url) for one in images} - self._stored.images.keys())
        wanted = image_rows(images, self._marked)
        is_equal = (
            row is not None
            and row.is_stub
            and wanted == self._articles.children.of("images", stub.id)
            and all(getattr(row, name) == stub.columns[name] for name in _VISIBLE)
        )
        self._compare(stub.id, {"images": wanted})
        if row is not None and not row.is_stub:
            self._titles_before |= self._stored_titles(row)
        if is_equal:
            self._urls.renamed.append((stub.id, stub.columns["revision"], stub.columns["named_by"]))
        else:
            self._write_row(stub.id, stub.url_hash, row, stub.columns)

    def _write_row(self, id_: int, url_hash: bytes, row: ArticleRow | None, columns: Row) -> None:
        values = [columns[name] for name in SHOWN]
        if row is None:
            self._new.append((id_, url_hash, self._now, *values))
        else:
            self._rewritten.append((id_, *values))
        self._add_work_on_names(row, columns)

    def _compare(self, article_id: int, wanted: Mapping[str, Mapping[Key, Values]]) -> None:
        for difference in self._differences:
            before = self._articles.children.of(difference.table, article_id)
            difference.compare(article_id, before, wanted.get(difference.table, {}))

    def _stored_titles(self, row: ArticleRow) -> set[tuple[bytes, str]]:
        images = self._articles.children.of("images", row.id).values()
        return {(digest, row.title or "") for values in images if isinstance(digest := values[5], bytes)}

    def _add_work_on_names(self, row: ArticleRow | None, columns: Row) -> None:
        """Add the work of counting a provider's names if an article mentions it by another name than before.

        Most articles repeat the provider's current name; these are skipped.
        """
        provider_id, name = columns["provider_id"], columns["provider_name"]
        if row is not None:
            if (row.provider_id, row.provider_name) == (provider_id, name):
                return
            self._work.add(NAMES, [row.provider_id] if row.provider_name else [])
        if isinstance(provider_id, int) and name and self._stored.providers.get(provider_id) != name:
            self._work.add(NAMES, [provider_id])

    def _add_work_on_peers(self) -> None:
        """Add the work of computing the heat of other articles that list a changed one, or whose link points elsewhere."""
        computed = Counter(
            key[1]
            for row in self._articles.rows.values()
            if not self._is_moved(row)
            for key in self._articles.children.of("links", row.id)
        )
        others = [
            target
            for target in self._stored.targets.values()
            if target.namers > computed[target.target_hash] or target.namers >= bounds.MOST_NAMERS
        ]
        listed = {target.target_id for target in others}
        changed = [(one.row, one.id) for one, _ in self._articles.published()]
        changed += [(stub.row, stub.id) for stub in self._urls.stubs.values()]
        self._work.add(
            PEERS,
            (
                id_
                for row, id_ in changed
                if row is not None
                and id_ in listed
                and Peer(row.quality, row.published_at, row.title, row.url_hash) != self._peers[id_]
            ),
        )
        self._work.add(PEERS, (self._urls.retargeted.get(target.target_hash) for target in others))
        self._work.add_hashes(TARGET, self._urls.popular)

    def _is_moved(self, row: ArticleRow) -> bool:
        live = self._articles.live.get(row.url_hash)
        return live is not None and live.parts is None

    def _add_work_on_images(self) -> None:
        """Add the work of counting titles for each image that may have become a placeholder or ceased to be one."""
        uses = self._stored.images
        added = Counter(digest for digest, _ in self._titles - self._titles_before)
        removed = {digest for digest, _ in self._titles_before - self._titles}
        self._work.add_hashes(
            IMAGE,
            (
                digest
                for digest, number in added.items()
                if digest not in self._marked and (digest not in uses or uses[digest].uses + number >= SEVERAL_TITLES)
            ),
        )
        self._work.add_hashes(IMAGE, (digest for digest in removed if digest not in uses or uses[digest].is_marked))


def _peer(row: Row, url_hash: bytes) -> Peer:
    return Peer(row["quality"], row["published_at"], row["title"], url_hash)  # type: ignore[arg-type]  # of these columns
