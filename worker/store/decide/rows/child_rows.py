"""Compare the stored child rows of articles (aliases, images, topics, links) with the wanted ones. Pure: no I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from worker.store.decide.rows.article_rows import Key, Values
from worker.store.decide.stored import ImageRow, StoredArticles

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
Children = dict[str, dict[int, dict[Key, Values]]]
"""Child rows by table, article and the rest of their key."""


@dataclass(slots=True)
class Difference:
    """What changes in one child table. The rows hold the columns of the key, then the values."""

    added: list[Values] = field(default_factory=list)
    changed: list[Values] = field(default_factory=list)
    removed: list[Values] = field(default_factory=list)

    def compare(self, article_id: int, before: Mapping[Key, Values], wanted: Mapping[Key, Values]) -> None:
        """Add the difference between the stored and the wanted child rows of one article."""
        if not before:
            self.added += [(article_id, *key, *values) for key, values in wanted.items()]
            return
        for key, values in wanted.items():
            stored = before.get(key)
            if stored is None:
                self.added.append((article_id, *key, *values))
            elif stored != values:
                self.changed.append((article_id, *key, *values))
        self.removed += [(article_id, *key) for key in before if key not in wanted]


def stored_children(stored: StoredArticles, stub_images: Iterable[ImageRow]) -> Children:
    """Return the stored child rows. `stub_images`: the images of stubs."""
    children: Children = {name: defaultdict(dict) for name in CHILD_KEYS}
    for claim in stored.claims:
        children["article_urls"][claim.article_id][claim.claim, claim.url_hash] = (claim.url,)
    for picture in (*stored.images, *stub_images):
        children["images"][picture.article_id][(picture.rank,)] = tuple(picture[2:])
    for topic in stored.topics:
        children["article_topics"][topic.article_id][(topic.topic_id,)] = (topic.rank, topic.origin)
    for link in stored.links:
        children["links"][link.source_id][link.kind, link.target_hash] = (link.rank,)
    return children
