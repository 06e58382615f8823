"""The rows that change when the articles and URLs of a batch are decided. Pure: no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from worker.enrichment.heat import Heat, Peer
from worker.enrichment.image_choice import SEVERAL_TITLES, best_image, image_hash
from worker.heat_rules import AllRules
from worker.store.decide import stored as bounds
from worker.store.decide.article_heat import own_heat
from worker.store.decide.article_sources import ArticleChanges, Published
from worker.store.decide.change_set import IMAGE, NAMES, PEERS, TARGET, ChangeSet, Operation, Work
from worker.store.decide.rows.article_rows import DECIDED, OF_DOCUMENT, STUB, Key, Values, emptied_row, image_rows
from worker.store.decide.rows.child_rows import CHILD_KEYS, CHILD_VALUES, Children, Difference
from worker.store.decide.stored import (
    ArticleRow,
    Row,
    StoredUrls,
    TargetRow,
)
from worker.store.decide.url_resolution import StubChange, UrlChanges

_PUBLISHED = (*OF_DOCUMENT, *DECIDED)
_SEEN = ("named_by", "revision", "link_state", "changed_at")
_CONTENT = tuple(name for name in STUB if name not in _SEEN)
"""What readers see of a stub."""


class ArticleWrites:
    """Collects the rows of articles and what belongs to them. `heats`: article id → heat of each published article."""

    def __init__(
        self,
        articles: ArticleChanges,
        urls: UrlChanges,
        children: Children,
        stored: StoredUrls,
        rules: AllRules,
        now: datetime,
    ) -> None:
        self.articles, self.urls, self.stored, self.rules, self.now = articles, urls, stored, rules, now
        self._children = children
        self._differences = {name: Difference() for name in CHILD_KEYS}
        self._marked = {use.url_hash for use in stored.images.values() if use.is_marked}
        self.heats: dict[int, Heat] = {}
        self.work = Work()
        self._peers: dict[int, Peer] = {}
        self._titles: Counter[tuple[bytes, str]] = Counter()
        self._named_before: Counter[bytes] = Counter()

    def write(self, changes: ChangeSet) -> None:
        """Add all writes of articles, child rows and links to `changes`."""
        self._load_peers()
        stubs = list(self.urls.stubs.values())
        self._write_articles(changes, stubs)
        self._write_children(changes)
        self._note_peers(stubs)
        self._note_images()

    def _load_peers(self) -> None:
        rewritten = [one.id for one in self.articles.published.values()]
        for id_ in (*rewritten, *(row.id for row in self.articles.left.values())):
            links = self._children["links"].get(id_, {})
            self._named_before.update(h for _, h in links if isinstance(h, bytes))
        for row in (*self.articles.rows.values(), *self.stored.articles.values()):
            self._peers[row.id] = Peer(row.quality, row.published_at, row.title, row.url_hash)
        for alias_claim in self.stored.alias_claims.values():
            peer = Peer(alias_claim.quality, alias_claim.published_at, alias_claim.title, alias_claim.article_hash)
            self._peers.setdefault(alias_claim.article_id, peer)
        for stub in self.urls.stubs.values():
            self._peers[stub.id] = _peer(stub.columns, stub.url_hash)
        for one in self.articles.published.values():
            copy = one.parts.copy
            self._peers[one.id] = Peer(copy.quality, copy.published_at, one.parts.title, one.url_hash)

    def _decided_columns(self, one: Published) -> Values:
        """Return the values of `DECIDED` of an article."""
        copy, source, targets = one.parts.copy, one.source, self.urls.targets
        related = [(rank, target) for rank, h in one.parts.related if (target := targets[h]) is not None]
        heat = own_heat(
            one.id,
            copy.quality,
            related=related,
            peers=self._peers,
            count=copy.related_count,
            outranked_by=copy.outranked_by,
            rules=self.rules.of(source.source),
        )
        if heat is not None:
            self.heats[one.id] = heat[0]
        row: Row = {"heat": copy.reported_heat, "is_published": copy.reported_published, "lead_id": None}
        row |= heat[1] if heat is not None else {}
        row["image_url"] = one.parts.best_image(self._marked)
        row["secured"], row["changed_at"] = source.secured, self.now
        row["document_id"], row["revision"] = source.document_id, source.revision
        row["pipeline_version"] = source.pipeline_version
        return tuple([row[name] for name in DECIDED])

    def _write_articles(self, changes: ChangeSet, stubs: list[StubChange]) -> None:
        new, rewritten = list[Values](), list[Values]()
        for one in self.articles.published.values():
            columns = (*one.parts.columns, *self._decided_columns(one))
            if one.row is None:
                new.append((one.id, one.url_hash, self.now, *columns))
            else:
                rewritten.append((one.id, *columns))
            self._compare(one.id, one.parts.child_rows(self._marked))
            self._note_titles(one)
            self._note_mention(one.row, one.parts.mention)
        shown = self._shown_stubs(stubs)
        for stub in shown:
            if stub.row is not None and not stub.row.is_stub:
                row = emptied_row(stub.columns)
                rewritten.append((stub.id, *(row[name] for name in _PUBLISHED)))
        changes.insert("articles", ("id", "url_hash", "first_seen_at", *_PUBLISHED), new)
        changes.add("articles", Operation.UPDATE, ("id", *_PUBLISHED), ("id",), rewritten)
        self._write_stubs(changes, shown)
        changes.update(
            "articles",
            [
                {"id": one.id, "revision": one.source.revision, "secured": one.source.secured}
                for one in self.articles.moved.values()
                if one.row.revision != one.source.revision
            ],
            ("id",),
        )

    def _write_stubs(self, changes: ChangeSet, shown: list[StubChange]) -> None:
        new: list[Values] = [
            (stub.id, stub.url_hash, self.now, True, *(stub.columns[name] for name in STUB))
            for stub in shown
            if stub.row is None
        ]
        changes.insert("articles", ("id", "url_hash", "first_seen_at", "is_stub", *STUB), new)
        changed: list[Row] = [{"id": stub.id, **stub.columns} for stub in shown if stub.row and stub.row.is_stub]
        changes.update("articles", changed, ("id",))
        changes.update("articles", self.urls.renamed, ("id",))

    def _shown_stubs(self, stubs: list[StubChange]) -> list[StubChange]:
        """Return the stubs whose visible content changes.

        If a stub shows an equal entry of another article, only its source changes, and the linker need not process it
        again.
        """
        shown = []
        for stub in stubs:
            is_drawn = self._draw(stub)
            is_stub = stub.row is not None and stub.row.is_stub
            if stub.row is not None and is_stub and not is_drawn and _is_equal(stub.row, stub.columns):
                columns = {name: stub.columns[name] for name in ("named_by", "revision")}
                self.urls.renamed.append({"id": stub.id, **columns})
            else:
                shown.append(stub)
                self._note_mention(stub.row, (stub.columns["provider_id"], stub.columns["provider_name"]))
        return shown

    def _draw(self, stub: StubChange) -> bool:
        """Compare the child rows of a stub, which has images and nothing else; returns whether images change."""
        images = stub.mention.images if stub.mention is not None else []
        if stub.mention is not None and images:
            stub.columns["image_url"] = best_image(images, self._marked)
            self.work.add_hashes(IMAGE, {image_hash(one.url) for one in images} - self.stored.images.keys())
        wanted = image_rows(images, self._marked)
        drawn = wanted != self._children["images"].get(stub.id, {})
        self._compare(stub.id, {"images": wanted})
        if stub.row is not None and not stub.row.is_stub:
            self._note_titles_of(stub.id, stub.row.title, -1)
        return drawn

    def _compare(self, article_id: int, wanted: Mapping[str, Mapping[Key, Values]]) -> None:
        for name, difference in self._differences.items():
            difference.compare(article_id, self._children[name].get(article_id, {}), wanted.get(name, {}))

    def _write_children(self, changes: ChangeSet) -> None:
        for name, difference in self._differences.items():
            key, names = CHILD_KEYS[name], (*CHILD_KEYS[name], *CHILD_VALUES[name])
            changes.add(name, Operation.DELETE, key, key, difference.removed)
            if name == "links":
                targets = self.urls.targets
                added = [(*row, targets[row[2]]) for row in difference.added]  # type: ignore[index]  # the target_hash
                changes.add(name, Operation.INSERT, (*names, "target_id"), key, added)
            else:
                changes.add(name, Operation.INSERT, names, key, difference.added)
            changes.add(name, Operation.UPDATE, names, key, difference.changed)
        names = ("target_hash", "target_id")
        retargeted: list[Values] = [
            (h, kind, target) for h, target in sorted(self.urls.retargeted.items()) for kind in ("related", "contains")
        ]
        changes.add(
            "links", Operation.UPDATE, ("target_hash", "kind", "target_id"), ("target_hash", "kind"), retargeted
        )

    def _note_mention(self, row: ArticleRow | None, now: tuple[object, object]) -> None:
        """Add the work of counting a provider's names if an article mentions it by another name than before.

        Most articles repeat the provider's current name; these are skipped.
        """
        before = (row.provider_id, row.provider_name) if row is not None else (None, None)
        if before == now:
            return
        self.work.add(NAMES, [before[0]] if before[1] else [])
        if isinstance(now[0], int) and now[1] and self.stored.providers.get(now[0]) != now[1]:
            self.work.add(NAMES, [now[0]])

    def _note_peers(self, stubs: list[StubChange]) -> None:
        """Add the work of computing the heat of other articles that list a changed one, or whose link points elsewhere."""
        others = [target for target in self.stored.targets.values() if self._is_named_by_others(target)]
        listed = {target.target_id for target in others}
        changed = [(one.row, one.id) for one in self.articles.published.values()]
        changed += [(stub.row, stub.id) for stub in stubs]
        self.work.add(
            PEERS,
            (
                id_
                for row, id_ in changed
                if row is not None
                and id_ in listed
                and Peer(row.quality, row.published_at, row.title, row.url_hash) != self._peers[id_]
            ),
        )
        self.work.add_hashes(TARGET, self.urls.popular)
        retargeted = self.urls.retargeted
        self.work.add(PEERS, (retargeted.get(target.target_hash) for target in others))

    def _is_named_by_others(self, target: TargetRow) -> bool:
        """Return whether an article names the URL whose heat this batch does not compute."""
        computed = self._named_before[target.target_hash]
        return target.namers > computed or target.namers >= bounds.MOST_NAMERS

    def _note_titles(self, one: Published) -> None:
        if one.row is not None and not one.row.is_stub:
            self._note_titles_of(one.id, one.row.title, -1)
        for digest in one.parts.image_hashes:
            self._titles[digest, one.parts.title or ""] += 1

    def _note_titles_of(self, article_id: int, title: str | None, sign: int) -> None:
        for digest in {values[5] for values in self._children["images"].get(article_id, {}).values()}:
            if isinstance(digest, bytes):
                self._titles[digest, title or ""] += sign

    def _note_images(self) -> None:
        """Add the work of counting titles for each image that may have become a placeholder or ceased to be one."""
        added = Counter(digest for (digest, _), number in self._titles.items() if number > 0)
        removed = {digest for (digest, _), number in self._titles.items() if number < 0}
        uses = self.stored.images
        self.work.add_hashes(
            IMAGE,
            (
                digest
                for digest, number in added.items()
                if digest not in self._marked and (digest not in uses or uses[digest].uses + number >= SEVERAL_TITLES)
            ),
        )
        self.work.add_hashes(IMAGE, (digest for digest in removed if digest not in uses or uses[digest].is_marked))


def _peer(row: Row, url_hash: bytes) -> Peer:
    return Peer(row["quality"], row["published_at"], row["title"], url_hash)  # type: ignore[arg-type]  # of these columns


def _is_equal(row: ArticleRow, columns: Row) -> bool:
    return all(getattr(row, name) == columns[name] for name in _CONTENT)
