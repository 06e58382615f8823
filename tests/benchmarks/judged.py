"""Pairs of articles that people have judged, with what speaks for and against one event, and what they stand for.

`judgements/candidates-NAME.jsonl` holds the verdicts on pairs of the collection NAME: one event (`same`), a `follow-up` of it, two
`guide`s about one subject, or nothing in common (`none`). `first` and `second` are what two readers (or one reader
twice, in another order) found, and `third` a later one; `verdict` is what counts. `sample` names the sample (see `sample.py`) of the newer pairs. The
pairs of our own (`judgements/near_misses.yaml`) are one event in other words, or follow one pattern; they were written
for conflicts.

Only pairs of two sites, or with equal titles, are considered: the linker never links others. Judged pairs stand for all pairs
of the collection in the same cell: equally listed by `related` or not, with a similar score and similar log odds of the
rule. The collection's pairs are those with a score of at least `LOWEST_SCORE` and those that `related` lists.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from tests.benchmarks.collection import Item, arrive, load, stored_links, stories_by_links
from worker.linking.pairs.evidence import Evidence
from worker.linking.pairs.similar_links import PairLinks, Text, may_be_linked
from worker.linking.texts.conflicts import conflicts_of
from worker.linking.texts.features import features_of_all
from worker.linking.texts.frequencies import Frequencies

JUDGEMENTS = Path(__file__).parent / "judgements"
LOWEST_SCORE = 0.10
_SCORE_BANDS = (0.0, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40)
_ODDS_BANDS = (-99.0, -2.0, 0.0, 1.0, 1.5, 2.2, 2.6, 3.0)
_COARSE_SCORE = 0.30  # from here on few pairs are judged, and nearly all are one event

Key = tuple[int, int]


@dataclass(slots=True)
class Pair:
    """A judged pair. `weight`: how many pairs of the collection it stands for.

    `is_linked`: whether the rule links it. `is_together`: whether it is linked or in one story.
    """

    collection: str
    evidence: Evidence
    verdict: str
    is_listed: bool = False
    is_linked: bool = False
    is_together: bool = False
    weight: float = 0.0


class Collection:
    """A folder of documents: its articles, and the evidence for the pairs of two sites that could be one event."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.items = load(folder)
        self.scores, _ = arrive(self.items, at_once=False, floor=0.05, most=400)
        self._by_hash = {item.url_hash.hex(): item.number for item in self.items}
        self._by_number = {item.number: item for item in self.items}
        self._texts = {item.number: Text(item.title, item.excerpt, item.site, item.time) for item in self.items}
        self._links = PairLinks(self._texts, _weights_of([(item.title, item.excerpt) for item in self.items]))

    @cached_property
    def listed(self) -> set[Key]:
        """The pairs that `related` lists."""
        return {(min(item.number, other), max(item.number, other)) for item in self.items for other in item.related}

    @cached_property
    def evidence(self) -> dict[Key, Evidence]:
        """The evidence for each pair of the collection."""
        likely = {pair for pair, score in self.scores.items() if score >= LOWEST_SCORE}
        return {
            (a, b): evidence_of(self._links, self._texts, a, b, self.scores.get((a, b), 0.0))
            for a, b in sorted(likely | self.listed)
            if may_be_linked(self._texts[a], self._texts[b])
        }

    @cached_property
    def links(self) -> dict[Key, tuple[str, float]]:
        """The pairs that the rule links, each with its kind and score."""
        return stored_links(self.items, self.scores)

    @cached_property
    def stories(self) -> list[list[int]]:
        """The stories of two or more articles."""
        return stories_by_links(self.items, self.links)

    def is_together(self, pair: Key) -> bool:
        """Whether a pair is linked or in one story."""
        stories = [self._story_of.get(number) for number in pair]
        return pair in self.links or (stories[0] is not None and stories[0] == stories[1])

    @cached_property
    def _story_of(self) -> dict[int, int]:
        return {number: place for place, story in enumerate(self.stories) for number in story}

    def hashes(self, pair: Key) -> tuple[str, str]:
        """Return the URL hashes of a pair in ascending order."""
        low, high = sorted(self._by_number[number].url_hash.hex() for number in pair)
        return low, high

    def item(self, number: int) -> Item:
        return self._by_number[number]

    def judged(self) -> list[Pair]:
        """Return the judged pairs with their weights."""
        known = {}
        for line in judged_lines(self.name):
            pair = self._pair_of(line)
            # The pairs of stories are a sample of their own, which says nothing of pairs outside.
            if pair in self.evidence and line.get("sample") != ["story"]:
                known[pair] = line["verdict"]
        every = Counter(map(self._cell, self.evidence))
        read = Counter(map(self._cell, known))
        return [
            Pair(
                self.name,
                self.evidence[pair],
                verdict,
                pair in self.listed,
                pair in self.links,
                self.is_together(pair),
                every[self._cell(pair)] / read[self._cell(pair)],
            )
            for pair, verdict in known.items()
        ]

    def verdicts(self, sample: str) -> dict[Key, str]:
        """Return the verdicts on the pairs of one sample."""
        lines = [line for line in judged_lines(self.name) if sample in line.get("sample", ())]
        return {pair: line["verdict"] for line in lines if (pair := self._pair_of(line)) in self.evidence}

    def _pair_of(self, line: dict[str, Any]) -> Key:
        a, b = (self._by_hash.get(line[name], 0) for name in ("a", "b"))
        return min(a, b), max(a, b)

    def _cell(self, pair: Key) -> tuple[bool, float, float]:
        found = self.evidence[pair]
        score = max(band for band in _SCORE_BANDS if found.score >= band)
        odds = max(band for band in _ODDS_BANDS if found.log_odds >= band)
        if score >= _COARSE_SCORE:
            odds = min(odds, 2.2) if odds >= 2.2 else _ODDS_BANDS[0]
        elif score < LOWEST_SCORE:
            odds = _ODDS_BANDS[0]
        return pair in self.listed, score, odds


def evidence_of(links: PairLinks, texts: dict[int, Text], low: int, high: int, score: float) -> Evidence:
    """Return the evidence with the conflicts of the titles, as the linker has it."""
    found = links.evidence(low, high, score)
    one, other = sorted((texts[low], texts[high]), key=lambda text: (text.title or "", text.excerpt or ""))
    found.conflicts = conflicts_of(one.title_names, other.title_names)
    return found


def judged_lines(name: str) -> list[dict[str, Any]]:
    """Return the judgements on the collection `name`."""
    text = (JUDGEMENTS / f"candidates-{name}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def shown(item: Item) -> str:
    """Return an article as one line for a reader."""
    title, excerpt = (" ".join((text or "").split()) for text in (item.title, item.excerpt))
    moment = datetime.fromtimestamp(item.time, UTC)
    return f"{moment:%Y-%m-%d %H} {item.site} | {title[:160]} | {excerpt[:230]}"


def own_pairs(background: list[Item]) -> list[Pair]:
    """Return our own pairs as if they were part of a collection and came within an hour."""
    near_misses = yaml.safe_load((JUDGEMENTS / "near_misses.yaml").read_text("utf-8"))
    kinds = (("one_event", "same"), ("near_misses", "none"))
    pairs = [(verdict, pair) for kind, verdict in kinds for pair in near_misses[kind]]
    items = [
        Item(number, "", "", 3600.0 * (number % 2), one["title"], one["excerpt"], 50, number.to_bytes(16), str(number))
        for number, one in enumerate((one for _, pair in pairs for one in pair), 1)
    ]
    texts = {item.number: Text(item.title, item.excerpt, item.site, item.time) for item in items}
    links = PairLinks(texts, _weights_of([(item.title, item.excerpt) for item in (*background, *items)]))
    renumbered = [
        Item(10_000 + item.number, "", "", 0.0, item.title, item.excerpt, 50, item.url_hash) for item in background
    ]
    scores, _ = arrive([*items, *renumbered], at_once=True, floor=0.05, most=1000)
    return [
        Pair("own", evidence_of(links, texts, first, first + 1, scores.get((first, first + 1), 0.0)), verdict)
        for first, (verdict, _) in zip(range(1, len(items), 2), pairs, strict=True)
    ]


def _weights_of(texts: list[tuple[str | None, str | None]]) -> NDArray[np.float32]:
    frequencies = Frequencies()
    frequencies.add(features_of_all(texts))
    return frequencies.weights()
