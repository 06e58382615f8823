"""Fit and judge the second step of linking: `python -m tests.benchmarks.evidence FOLDER…`.

A folder is a collection whose candidate pairs are judged in `judgements/candidates-NAME.jsonl`, NAME being the folder's.
The pairs are samples of each span of scores, read by two readers without the score and in another order: one event
(`same`), a follow-up of it, two guides about one subject, or nothing in common. `first` and `second` are what they
found, `verdict` is what was decided where they differ. The pairs of our own (`judgements/near_misses.yaml`) are one event
in other words, or follow one pattern.

Printed are how far the readers agree; the weights of a logistic regression, fitted on everything and on everything but
the collection judged; and precision and recall, over the whole collection, of the score alone, of today's rule, and of
the rule with the weights that were fitted without the collection. Each judged pair counts for the pairs of its span.
Recall is that of the pairs with a score of at least 0.20.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from tests.benchmarks.collection import Item, arrive, load
from worker.linking import evidence
from worker.linking.evidence import Evidence, Names, compare
from worker.linking.texts.features import features_of_all
from worker.linking.texts.frequencies import Frequencies

RIGHT = ("same", "follow-up")
JUDGEMENTS = Path(__file__).parent / "judgements"
SPANS = (0.20, 0.28, 0.34, 0.40, 0.50, 1.01)
NAMES = ("intercept", "shared", "unshared", "conflicts", "days")


@dataclass(slots=True)
class Pair:
    """A judged pair. `weight`: how many pairs of the collection it counts for (0: none, it was written for the fit)."""

    collection: str
    score: float
    evidence: Evidence
    verdict: str
    listed: bool
    weight: float = 0.0

    @property
    def is_right(self) -> bool:
        return self.verdict in RIGHT

    def row(self) -> list[float]:
        one = self.evidence
        return [
            1.0, evidence._units(one.shared), evidence._units(one.unshared), float(min(len(one.conflicts), 3)), one.days,
        ]  # fmt: skip


def collection_pairs(folder: Path) -> list[Pair]:
    items = load(folder)
    scores, _ = arrive(items, at_once=False, floor=SPANS[0], most=300)
    numbers = {item.url_hash.hex(): item for item in items}
    weights = weights_of(texts_of(items))
    candidates = [score for (a, b), score in scores.items() if items[a - 1].site != items[b - 1].site]
    pairs = []
    for one in judged_lines(folder):
        a, b = numbers.get(one["a"]), numbers.get(one["b"])
        if one["same_site"] or a is None or b is None:
            continue
        score = scores.get((min(a.number, b.number), max(a.number, b.number)), 0.0)
        days = abs(a.time - b.time) / 86_400
        names = Names.of(a.title, a.excerpt), Names.of(b.title, b.excerpt)
        found = compare(*names, days=days, weights=weights)
        pairs.append(Pair(folder.name, score, found, one["verdict"], one["listed"]))
    for low, high in pairwise(SPANS):
        span = [pair for pair in pairs if low <= pair.score < high]
        for pair in span:
            pair.weight = sum(low <= score < high for score in candidates) / len(span)
    return pairs


def judged_lines(folder: Path) -> list[dict[str, Any]]:
    text = (JUDGEMENTS / f"candidates-{folder.name}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def own_pairs(background: list[Item]) -> list[Pair]:
    """Return our own pairs, their words weighed as if they were part of a collection."""
    told = yaml.safe_load((JUDGEMENTS / "near_misses.yaml").read_text("utf-8"))
    texts = [(one["title"], one["excerpt"]) for kind in told.values() for pair in kind for one in pair]
    weights = weights_of([*texts_of(background), *texts])
    pairs = []
    for kind, verdict in (("one_event", "same"), ("near_misses", "none")):
        for one, other in told[kind]:
            names = Names.of(one["title"], one["excerpt"]), Names.of(other["title"], other["excerpt"])
            pairs.append(Pair("own", 0.5, compare(*names, days=0.0, weights=weights), verdict, listed=False))
    return pairs


def texts_of(items: list[Item]) -> list[tuple[str | None, str | None]]:
    return [(item.title, item.excerpt) for item in items]


def weights_of(texts: list[tuple[str | None, str | None]]) -> NDArray[np.float32]:
    frequencies = Frequencies()
    frequencies.add(features_of_all(texts))
    return frequencies.weights()


def fit(pairs: list[Pair], ridge: float = 1.0) -> NDArray[np.float64]:
    """Fit by Newton's method; follow-ups are left out."""
    pairs = [pair for pair in pairs if pair.verdict != "follow-up"]
    rows, right = np.array([pair.row() for pair in pairs]), np.array([pair.is_right for pair in pairs], float)
    scale = np.array([1.0, *rows[:, 1:].std(0)])
    rows, found = rows / scale, np.zeros(rows.shape[1])
    shrink = ridge * np.diag([0.0] + [1.0] * (len(found) - 1))
    for _ in range(100):
        likely = 1 / (1 + np.exp(-rows @ found))
        slope = rows.T @ (likely - right) + shrink @ found
        found -= np.linalg.solve((rows * (likely * (1 - likely))[:, None]).T @ rows + shrink, slope)
    return found / scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    folders = parser.parse_args().folders
    print(agreement([line for folder in folders for line in judged_lines(folder)]))
    pairs = [pair for folder in folders for pair in collection_pairs(folder)] + own_pairs(load(folders[0]))
    print("fitted on all:", weights_line(fit(pairs)))
    for folder in folders:
        found = fit([pair for pair in pairs if pair.collection != folder.name])
        print(f"{folder.name}: fitted without it:", weights_line(found))
        judged = [pair for pair in pairs if pair.collection == folder.name]
        for label, chosen in (
            ("score ≥ 0.40", [pair for pair in judged if pair.score >= 0.40]),
            ("score ≥ 0.30", [pair for pair in judged if pair.score >= 0.30]),
            ("the rule", [pair for pair in judged if pair.evidence.is_one_event(pair.score)]),
            ("the rule, fitted without it", [pair for pair in judged if is_one_event(pair, found)]),
        ):
            print(f"  {label}: {figures(chosen, judged)}")
    own = [pair for pair in pairs if pair.collection == "own"]
    for verdict in ("same", "none"):
        of = [pair for pair in own if pair.verdict == verdict]
        linked = [sum(pair.evidence.is_one_event(score) for pair in of) for score in (0.50, 0.30)]
        print(f"our own pairs, {verdict}: of {len(of)} are linked {linked[0]} at a score of 0.50, {linked[1]} at 0.30")


def agreement(lines: list[dict[str, Any]]) -> str:
    """Return how many verdicts of the two readers agree, and Cohen's kappa of right (one event, follow-up) or wrong."""
    alike = sum(line["first"] == line["second"] for line in lines)
    first, second = (np.array([line[reader] in RIGHT for line in lines]) for reader in ("first", "second"))
    by_chance = first.mean() * second.mean() + (1 - first.mean()) * (1 - second.mean())
    kappa = ((first == second).mean() - by_chance) / (1 - by_chance)
    return (
        f"{len(lines)} pairs, read twice: {alike} verdicts agree, right or wrong {(first == second).sum()} times "
        f"(kappa {kappa:.2f})"
    )


def is_one_event(pair: Pair, weights: NDArray[np.float64]) -> bool:
    """Whether the rule links a pair under other weights."""
    probability = 1 / (1 + np.exp(-np.dot(pair.row(), weights)))
    return bool(probability >= pair.evidence.least_probability(pair.score))


def weights_line(found: NDArray[np.float64]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in zip(NAMES, found, strict=True))


def figures(chosen: list[Pair], judged: list[Pair]) -> str:
    def total(pairs: list[Pair], verdicts: tuple[str, ...]) -> float:
        return sum(pair.weight for pair in pairs if pair.verdict in verdicts)

    every = sum(pair.weight for pair in chosen)
    listed = [pair for pair in judged if pair.listed]
    return (
        f"precision {total(chosen, ('same', 'follow-up')) / every:.3f}, "
        f"without follow-ups {total(chosen, ('same',)) / every:.3f}, "
        f"recall {total(chosen, ('same',)) / total(judged, ('same',)):.2f}, of the listed pairs "
        f"{total([pair for pair in chosen if pair.listed], ('same',)) / total(listed, ('same',)):.2f}"
    )


if __name__ == "__main__":
    main()
