"""Fit and judge the second step of linking: `python -m tests.benchmarks.evidence FOLDER…`.

A folder is a collection with judged pairs (see `judged.py`). Printed are how far the readings agree; what the rule finds of a
sample of all pairs that `related` lists, by score; the weights of a logistic regression, fitted on everything and on
everything but one collection; precision and recall of the rule over the whole collection; and the highest recall that such a
regression reaches at a given precision, when it is fitted on the collection itself (an upper bound), on all, and on the
others. `--missed` prints the pairs of that sample that are one event and neither linked nor in one story.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.judged import LOWEST_SCORE, Collection, Pair, judged_lines, own_pairs, shown
from worker.linking.pairs import evidence
from worker.linking.pairs.evidence import CANDIDATE_SCORE

RIGHT = ("same", "follow-up")
NAMES = ("intercept", "score", "shared", "days", "conflict", "reference")
OWN_WEIGHT = 0.1
PRECISIONS = (0.95, 0.90, 0.85, 0.80)
THRESHOLDS = np.arange(-3.0, 6.0, 0.1)
SAMPLE_BANDS = (0.0, 0.05, 0.10, 0.15, 0.20, 0.30, 0.40, 1.01)

Weights = NDArray[np.float64]


class Model:
    """A logistic regression over the pairs with a score of at least `floor`."""

    def __init__(self, floor: float = CANDIDATE_SCORE) -> None:
        self.floor = floor

    def row(self, pair: Pair) -> list[float]:
        one = pair.evidence
        return [
            1.0, math.log(max(one.score, self.floor)), math.log1p(one.shared), math.log1p(one.days),
            float(bool(one.conflicts)), float(one.has_reference),
        ]  # fmt: skip

    def log_odds(self, pair: Pair, weights: Weights) -> float:
        return float(np.dot(self.row(pair), weights)) if pair.evidence.score >= self.floor else -math.inf

    def fit(self, pairs: Iterable[Pair], ridge: float = 1.0) -> Weights:
        """Return the weights by Newton's method; follow-ups are left out."""
        chosen = [pair for pair in pairs if pair.verdict != "follow-up" and pair.evidence.score >= self.floor]
        rows, right = (
            np.array([self.row(pair) for pair in chosen]),
            np.array([pair.verdict == "same" for pair in chosen], float),
        )
        counts = np.array([OWN_WEIGHT if pair.collection == "own" else 1.0 for pair in chosen])
        scale = np.array([1.0, *rows[:, 1:].std(0)])
        rows, found = rows / scale, np.zeros(rows.shape[1])
        shrink = ridge * np.diag([0.0] + [1.0] * (len(found) - 1))
        for _ in range(100):
            likely = 1 / (1 + np.exp(-rows @ found))
            slope = rows.T @ (counts * (likely - right)) + shrink @ found
            found -= np.linalg.solve((rows * (counts * likely * (1 - likely))[:, None]).T @ rows + shrink, slope)
        weights: Weights = found / scale
        return weights


class Figures:
    """Precision and recall over the collection of the pairs that `is_linked` accepts."""

    def __init__(self, pairs: Sequence[Pair], is_linked: Callable[[Pair], bool]) -> None:
        chosen = [pair for pair in pairs if is_linked(pair)]
        self.links = sum(pair.weight for pair in chosen)
        self.precision = _total(chosen, RIGHT) / max(1.0, self.links)
        self.without_follow_ups = _total(chosen, ("same",)) / max(1.0, self.links)
        self.recall = _total(chosen, ("same",)) / _total(pairs, ("same",))
        listed = [pair for pair in pairs if pair.is_listed]
        self.of_listed = _total([pair for pair in chosen if pair.is_listed], ("same",)) / _total(listed, ("same",))

    def __str__(self) -> str:
        return (
            f"{self.links:5.0f} links, precision {self.precision:.3f}, without follow-ups {self.without_follow_ups:.3f}, "
            f"recall {self.recall:.2f}, of the listed pairs {self.of_listed:.2f}"
        )


def _total(pairs: Iterable[Pair], verdicts: tuple[str, ...]) -> float:
    return sum(pair.weight for pair in pairs if pair.verdict in verdicts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--missed", action="store_true")
    options = parser.parse_args()
    collections = [Collection(folder) for folder in options.folders]
    if options.missed:
        for one in collections:
            print_missed(one)
        return
    print(agreement([line for one in collections for line in judged_lines(one.name)]))
    judged = {one.name: one.judged() for one in collections}
    own = own_pairs(collections[0].items)
    every = [pair for pairs in judged.values() for pair in pairs]
    print("weights of the rule:", evidence.WEIGHTS)
    print("fitted on all:", weights_line(Model().fit([*every, *own])))
    for one in collections:
        print(f"\n{one.name}: fitted without it:", weights_line(Model().fit(_without(one.name, [*every, *own]))))
        print_sample(one)
        pairs = judged[one.name]
        print("  score 0.40 and more:   ", Figures(pairs, lambda pair: pair.evidence.score >= 0.40))
        print("  linked:                ", Figures(pairs, lambda pair: pair.is_linked))
        print("  linked or in one story:", Figures(pairs, lambda pair: pair.is_together))
        print("  stories:", len(one.stories), "the largest of", ", ".join(str(len(story)) for story in one.stories[:5]))
        for floor in (CANDIDATE_SCORE, LOWEST_SCORE):
            print_limits(Model(floor), judged, own, one.name)
    for verdict in ("same", "none"):
        of = [pair for pair in own if pair.verdict == verdict]
        print(f"our own pairs, {verdict}: of {len(of)} are linked {sum(pair.evidence.is_one_event for pair in of)}")


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


def print_sample(collection: Collection) -> None:
    """Print how many one-event pairs of the sample of all listed pairs are linked, and linked or in one story, by score."""
    verdicts = collection.verdicts("listed")
    bands = [(0.0, 1.01), *pairwise(SAMPLE_BANDS)]
    for low, high in bands:
        drawn = [pair for pair in verdicts if low <= collection.evidence[pair].score < high]
        same = [pair for pair in drawn if verdicts[pair] == "same"]
        linked, together = sum(pair in collection.links for pair in same), sum(map(collection.is_together, same))
        print(
            f"  of {len(drawn):3d} listed pairs with a score of {low:.2f} to {high:.2f} {len(same):3d} are one event, "
            f"{linked:2d} linked, {together:2d} linked or in one story"
        )


def print_missed(collection: Collection) -> None:
    """Print the missed pairs of the sample with the evidence for them, by descending score."""
    same = [pair for pair, verdict in collection.verdicts("listed").items() if verdict == "same"]
    for pair in sorted(same, key=lambda pair: -collection.evidence[pair].score):
        found = collection.evidence[pair]
        if not collection.is_together(pair):
            facts = f"score {found.score:.2f}, shared {found.shared:.0f}, days {found.days:.1f}, log odds {found.log_odds:.1f}"
            print(f"{collection.name}: {facts}", *(f"against: {one}" for one in found.against), sep=", ")
            for number in pair:
                print("   ", shown(collection.item(number)))


def print_limits(model: Model, judged: dict[str, list[Pair]], own: list[Pair], name: str) -> None:
    """Print the highest recall at some precisions without follow-ups, by what the weights are fitted on."""
    every = [pair for pairs in judged.values() for pair in pairs]
    for label, fitted_on in (
        ("itself", judged[name]), ("all", [*every, *own]), ("the others", _without(name, [*every, *own])),
    ):  # fmt: skip
        weights = model.fit(fitted_on)
        print(f"  from {model.floor:.2f} on, fitted on {label}:", weights_line(weights))
        for precision in PRECISIONS:
            for threshold in THRESHOLDS:
                figures = Figures(judged[name], lambda pair, at=threshold: model.log_odds(pair, weights) >= at)
                if figures.without_follow_ups >= precision:
                    print(f"    {precision:.2f} at {threshold:4.1f}: {figures}")
                    break


def _without(name: str, pairs: Iterable[Pair]) -> list[Pair]:
    return [pair for pair in pairs if pair.collection != name]


if __name__ == "__main__":
    main()
