"""Fit and judge the second step of linking: `python -m tests.benchmarks.evidence FOLDER…`.

A folder is a collection whose pairs are judged in `judgements/candidates-NAME.jsonl`, NAME being the folder's. The pairs
are samples by score, by site, by whether `related` lists them, and by whether an earlier rule linked them; `stands_for` is
how many pairs of the collection a judged one stands for. They were read without these figures: one event (`same`), a
follow-up of it, two guides about one subject, or nothing in common. `first` and `second` are what two readers (or one
reader twice, in another order) found; `verdict` is what counts. The pairs of our own (`judgements/near_misses.yaml`) are
one event in other words, or follow one pattern; they were written for conflicts and weigh a tenth.

Printed are how far the readings agree; the weights of a logistic regression, fitted on everything and on everything but
the collection judged; and precision and recall, over the whole collection, of the score alone, of today's rule, and of
the rule with the weights that were fitted without the collection. Recall is that of all judged pairs about one event,
and of those that `related` lists, however small their score.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from tests.benchmarks.collection import Item, arrive, load
from worker.linking import evidence
from worker.linking.evidence import CANDIDATE_SCORE, Evidence
from worker.linking.similar_links import PairLinks, Text, may_be_linked
from worker.linking.texts.conflicts import conflicts_of
from worker.linking.texts.features import features_of_all
from worker.linking.texts.frequencies import Frequencies

RIGHT = ("same", "follow-up")
JUDGEMENTS = Path(__file__).parent / "judgements"
NAMES = ("intercept", "score", "shared", "days", "conflict", "reference")
OWN_WEIGHT = 0.1
THRESHOLDS = (1.0, 1.5, 2.0, 2.5, 3.0)

Weights = NDArray[np.float64]


@dataclass(slots=True)
class Pair:
    """A judged pair. `stands_for`: how many pairs of the collection it counts for."""

    collection: str
    evidence: Evidence
    verdict: str
    listed: bool = False
    same_site: bool = False
    stands_for: float = 0.0

    @property
    def is_candidate(self) -> bool:
        return self.evidence.score >= CANDIDATE_SCORE and not self.same_site

    def row(self) -> list[float]:
        one = self.evidence
        return [
            1.0, math.log(max(one.score, CANDIDATE_SCORE)), math.log1p(one.shared), math.log1p(one.days),
            float(bool(one.conflicts)), float(one.has_reference),
        ]  # fmt: skip

    def is_linked(self, weights: Weights, threshold: float) -> bool:
        return self.is_candidate and float(np.dot(self.row(), weights)) >= threshold


def collection_pairs(folder: Path, items: list[Item]) -> list[Pair]:
    scores, _ = arrive(items, at_once=False, floor=0.05, most=400)
    numbers = {item.url_hash.hex(): item for item in items}
    texts = {item.number: Text(item.title, item.excerpt, item.site, item.time) for item in items}
    links = PairLinks(texts, weights_of([(item.title, item.excerpt) for item in items]))
    pairs = []
    for one in judged_lines(folder):
        a, b = numbers.get(one["a"]), numbers.get(one["b"])
        if a is None or b is None:
            continue
        low, high = sorted((a.number, b.number))
        same_site = not may_be_linked(texts[low], texts[high])
        found = with_conflicts(links, texts, low, high, scores.get((low, high), 0.0))
        pairs.append(Pair(folder.name, found, one["verdict"], one["listed"], same_site, one["stands_for"]))
    return pairs


def with_conflicts(links: PairLinks, texts: dict[int, Text], low: int, high: int, score: float) -> Evidence:
    found = links.evidence(low, high, score)
    found.conflicts = conflicts_of(texts[low].title_names, texts[high].title_names)
    return found


def judged_lines(folder: Path) -> list[dict[str, Any]]:
    text = (JUDGEMENTS / f"candidates-{folder.name}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def own_pairs(background: list[Item]) -> list[Pair]:
    """Return our own pairs as if they were part of a collection and came within an hour."""
    told = yaml.safe_load((JUDGEMENTS / "near_misses.yaml").read_text("utf-8"))
    kinds = (("one_event", "same"), ("near_misses", "none"))
    pairs = [(verdict, pair) for kind, verdict in kinds for pair in told[kind]]
    items = [
        Item(number, "", "", 3600.0 * (number % 2), one["title"], one["excerpt"], 50, number.to_bytes(16), str(number))
        for number, one in enumerate((one for _, pair in pairs for one in pair), 1)
    ]
    texts = {item.number: Text(item.title, item.excerpt, item.site, item.time) for item in items}
    links = PairLinks(texts, weights_of([(item.title, item.excerpt) for item in (*background, *items)]))
    shifted = [
        Item(10_000 + item.number, "", "", 0.0, item.title, item.excerpt, 50, item.url_hash) for item in background
    ]
    scores, _ = arrive([*items, *shifted], at_once=True, floor=0.05, most=1000)
    return [
        Pair("own", with_conflicts(links, texts, first, first + 1, scores.get((first, first + 1), 0.0)), verdict)
        for first, (verdict, _) in zip(range(1, len(items), 2), pairs, strict=True)
    ]


def weights_of(texts: list[tuple[str | None, str | None]]) -> NDArray[np.float32]:
    frequencies = Frequencies()
    frequencies.add(features_of_all(texts))
    return frequencies.weights()


def fit(pairs: list[Pair], ridge: float = 1.0) -> Weights:
    """Fit by Newton's method; follow-ups are left out, and candidates only are considered."""
    pairs = [pair for pair in pairs if pair.verdict != "follow-up" and pair.is_candidate]
    rows, right = np.array([pair.row() for pair in pairs]), np.array([pair.verdict == "same" for pair in pairs], float)
    counts = np.array([OWN_WEIGHT if pair.collection == "own" else 1.0 for pair in pairs])
    scale = np.array([1.0, *rows[:, 1:].std(0)])
    rows, found = rows / scale, np.zeros(rows.shape[1])
    shrink = ridge * np.diag([0.0] + [1.0] * (len(found) - 1))
    for _ in range(100):
        likely = 1 / (1 + np.exp(-rows @ found))
        slope = rows.T @ (counts * (likely - right)) + shrink @ found
        found -= np.linalg.solve((rows * (counts * likely * (1 - likely))[:, None]).T @ rows + shrink, slope)
    weights: Weights = found / scale
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    folders = parser.parse_args().folders
    print(agreement([line for folder in folders for line in judged_lines(folder)]))
    loaded = {folder: load(folder) for folder in folders}
    judged = {folder.name: collection_pairs(folder, items) for folder, items in loaded.items()}
    own = own_pairs(loaded[folders[0]])
    every = [pair for pairs in judged.values() for pair in pairs]
    together = fit([*every, *own])
    print("fitted on all:", weights_line(together))
    for name, pairs in judged.items():
        alone = fit([pair for pair in (*every, *own) if pair.collection != name])
        print(f"{name}: fitted without it:", weights_line(alone))
        print_rule("score ≥ 0.40", pairs, lambda pair: pair.evidence.score >= 0.40 and not pair.same_site)
        print_rule("score ≥ 0.25", pairs, lambda pair: pair.evidence.score >= 0.25 and not pair.same_site)
        print_rule("the rule", pairs, lambda pair: pair.evidence.is_one_event and not pair.same_site)
        for label, weights in (("fitted on all", together), ("fitted without it", alone)):
            for threshold in THRESHOLDS:
                linked = partial(Pair.is_linked, weights=weights, threshold=threshold)
                print_rule(f"{label}, from {threshold} on", pairs, linked)
    for verdict in ("same", "none"):
        of = [pair for pair in own if pair.verdict == verdict]
        print(f"our own pairs, {verdict}: of {len(of)} are linked {sum(pair.evidence.is_one_event for pair in of)}; fitted on "
              f"all, {', '.join(f'from {at} on {sum(pair.is_linked(together, at) for pair in of)}' for at in THRESHOLDS)}")  # fmt: skip
    print("weights of the rule:", evidence.WEIGHTS)


def agreement(lines: list[dict[str, Any]]) -> str:
    """Return how many verdicts of two readings agree, and Cohen's kappa of right (one event, follow-up) or wrong."""
    lines = [line for line in lines if "second" in line]
    alike = sum(line["first"] == line["second"] for line in lines)
    first, second = (np.array([line[reader] in RIGHT for line in lines]) for reader in ("first", "second"))
    by_chance = first.mean() * second.mean() + (1 - first.mean()) * (1 - second.mean())
    kappa = ((first == second).mean() - by_chance) / (1 - by_chance)
    return (
        f"{len(lines)} pairs, read twice: {alike} verdicts agree, right or wrong {(first == second).sum()} times "
        f"(kappa {kappa:.2f})"
    )


def weights_line(found: Weights) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in zip(NAMES, found, strict=True))


def print_rule(label: str, pairs: list[Pair], is_linked: Callable[[Pair], bool]) -> None:
    def total(of: list[Pair], verdicts: tuple[str, ...]) -> float:
        return sum(pair.stands_for for pair in of if pair.verdict in verdicts)

    chosen = [pair for pair in pairs if is_linked(pair)]
    every = sum(pair.stands_for for pair in chosen)
    listed = [pair for pair in pairs if pair.listed]
    high = [pair for pair in listed if pair.evidence.score >= 0.20]
    print(
        f"  {label:31s} {every:5.0f} links, precision {total(chosen, RIGHT) / every:.3f}, "
        f"without follow-ups {total(chosen, ('same',)) / every:.3f}, "
        f"recall {total(chosen, ('same',)) / total(pairs, ('same',)):.2f}, of the listed pairs "
        f"{total([pair for pair in chosen if pair.listed], ('same',)) / total(listed, ('same',)):.2f}, of those from 0.20 on "
        f"{total([pair for pair in high if is_linked(pair)], ('same',)) / total(high, ('same',)):.2f}"
    )


if __name__ == "__main__":
    main()
