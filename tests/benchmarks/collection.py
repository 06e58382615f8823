"""Load a collection of documents with Copydesk's own parser and enricher, with the pairs that its `related` lists name.

`arrive` computes similarities with the linker's pure functions, as the linker does. `stored_links` returns the links
that the
linker would store.
"""

from __future__ import annotations

import time
from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from worker.documents.limits import Limits
from worker.documents.validation import read
from worker.enrichment.enriched_document import EnrichedDocument
from worker.enrichment.enricher import enrich
from worker.linking.index import Index
from worker.linking.pairs.evidence import CANDIDATE_SCORE
from worker.linking.pairs.similar_links import STORY_KINDS, PairLinks, Text
from worker.linking.story_assignment import Neighbour, Node, assign_stories
from worker.linking.texts.features import features_of_all
from worker.linking.texts.frequencies import Frequencies
from worker.linking.texts.idf_basis import IdfBasis


@dataclass(slots=True)
class Item:
    """An article as it arrives. `time`: publication, in seconds; `related`: numbers of the articles that a `related`
    list connects.
    """

    number: int
    url: str
    path: str
    time: float
    title: str | None
    excerpt: str | None
    quality: int | None
    url_hash: bytes
    site: str | None = None
    related: set[int] = field(default_factory=set)


def load(folder: Path) -> list[Item]:
    """Return the articles of a folder in order of publication. Of documents with the same URL the last by file name is
    used.
    """
    copies: dict[bytes, tuple[str, EnrichedDocument]] = {}
    for path in sorted(folder.rglob("*.md")):
        name = str(path.relative_to(folder))
        reading = read(path.read_bytes(), has_key=True, limits=Limits())
        if reading.article is not None:
            copy = enrich(reading.article, reading.body, source="benchmark", key=name)
            copies[copy.url_hash] = (name, copy)
    arrivals = [
        (name, copy) for name, copy in copies.values()
        if copy.published_at and copy.canonical_url and copy.kind in STORY_KINDS
    ]  # fmt: skip
    arrivals.sort(key=lambda one: (one[1].published_at, one[1].url_hash))
    items = [
        Item(
            number, copy.canonical_url or "", name, copy.published_at.timestamp() if copy.published_at else 0.0,
            copy.title, copy.excerpt, copy.quality, copy.url_hash, copy.provider.domain if copy.provider else None,
        )
        for number, (name, copy) in enumerate(arrivals, 1)
    ]  # fmt: skip
    by_hash: dict[bytes, int] = {}
    for item, (_, copy) in zip(items, arrivals, strict=True):
        for claim in copy.claims:
            by_hash.setdefault(claim.url_hash, item.number)
    by_hash.update({item.url_hash: item.number for item in items})
    for item, (_, copy) in zip(items, arrivals, strict=True):
        for mention in copy.related:
            other = by_hash.get(mention.url_hash)
            if other is not None and other != item.number:
                item.related.add(other)
                items[other - 1].related.add(item.number)
    return items


def arrive(items: list[Item], *, at_once: bool, floor: float, most: int) -> tuple[dict[tuple[int, int], float], float]:
    """Return the cosine of each pair of articles at least `floor`, and the CPU seconds used.

    Each article arrives on its day of publication, or all on one day if `at_once`.
    """
    days: dict[int, list[Item]] = defaultdict(list)
    for item in items:
        days[0 if at_once else int(item.time // 86_400)].append(item)
    index, completed, pairs = Index(), Frequencies(), {}
    began = time.process_time()
    for day in sorted(days):
        basis, today = IdfBasis(datetime.fromtimestamp(day * 86_400, UTC).date(), completed), Frequencies()
        features = features_of_all([(item.title, item.excerpt) for item in days[day]])
        today.add(features)
        index.set_frequencies(basis.with_today(deepcopy(today)) if basis.is_bootstrap(today.documents) else completed)
        numbers, times = [item.number for item in days[day]], [item.time for item in days[day]]
        index.add(numbers, times, features)
        near = index.neighbours(numbers, times, features, floor=floor, limit=most)
        for number, found in zip(numbers, near, strict=True):
            pairs.update({(min(one.id, number), max(one.id, number)): one.score for one in found})
        completed.merge(today)
    return pairs, time.process_time() - began


def stored_links(items: list[Item], pairs: dict[tuple[int, int], float]) -> dict[tuple[int, int], tuple[str, float]]:
    """Return the pairs that become links: (numbers) → (kind, score). Words weigh as in the whole collection."""
    texts = {item.number: Text(item.title, item.excerpt, item.site, item.time) for item in items}
    frequencies = Frequencies()
    frequencies.add(features_of_all([(item.title, item.excerpt) for item in items]))
    decided = PairLinks(texts, frequencies.weights())
    return {
        (a, b): (link[0], score)
        for (a, b), score in pairs.items()
        if score >= CANDIDATE_SCORE and (link := decided.decide(a, b, score)) is not None
    }


def stories_by_links(items: list[Item], links: dict[tuple[int, int], tuple[str, float]]) -> list[list[int]]:
    """Return the stories of two or more articles."""
    order = {item.number: (int(item.time // 86_400), item.url_hash) for item in items}
    near: dict[int, list[Neighbour]] = defaultdict(list)
    for (a, b), (_, score) in links.items():
        near[a].append(Neighbour(b, score, order[b], b))
        near[b].append(Neighbour(a, score, order[a], a))
    firsts = assign_stories(order, lambda ids: {one: Node(one, order[one], None, near[one]) for one in ids})
    groups: dict[int, list[int]] = defaultdict(list)
    for one, first in firsts.items():
        groups[first].append(one)
    return sorted((group for group in groups.values() if len(group) > 1), key=len, reverse=True)
