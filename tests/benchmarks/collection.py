"""A collection of documents through the product's own reading and editing, with what its `related` lists say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from worker.document.limits import Limits
from worker.document.validate import read
from worker.enrich.copy import Copy
from worker.enrich.edit import edit


@dataclass(slots=True)
class Item:
    """An article as it arrives. `time`: seconds, of publication; `related`: numbers of the articles tied by a list."""

    number: int
    url: str
    path: str
    time: float
    title: str | None
    excerpt: str | None
    quality: int | None
    url_hash: bytes
    related: set[int] = field(default_factory=set)


def load(folder: Path) -> list[Item]:
    """The articles of a folder in order of publication; of several documents with one URL the last by name counts."""
    copies: dict[bytes, tuple[str, Copy]] = {}
    for path in sorted(folder.rglob("*.md")):
        name = str(path.relative_to(folder))
        reading = read(path.read_bytes(), has_key=True, limits=Limits())
        if reading.article is not None:
            copy = edit(reading.article, reading.body, source="benchmark", key=name)
            copies[copy.url_hash] = (name, copy)
    told = [(name, copy) for name, copy in copies.values() if copy.published_at and copy.canonical_url]
    told.sort(key=lambda one: (one[1].published_at, one[1].url_hash))
    items = [
        Item(
            number, copy.canonical_url or "", name, copy.published_at.timestamp() if copy.published_at else 0.0,
            copy.title, copy.excerpt, copy.quality, copy.url_hash,
        )
        for number, (name, copy) in enumerate(told, 1)
    ]  # fmt: skip
    by_hash: dict[bytes, int] = {}
    for item, (_, copy) in zip(items, told, strict=True):
        for claim in copy.claims:
            by_hash.setdefault(claim.url_hash, item.number)
    by_hash.update({item.url_hash: item.number for item in items})
    for item, (_, copy) in zip(items, told, strict=True):
        for mention in copy.related:
            other = by_hash.get(mention.url_hash)
            if other is not None and other != item.number:
                item.related.add(other)
                items[other - 1].related.add(item.number)
    return items
