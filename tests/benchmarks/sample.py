"""Draw pairs of articles to be read, and record the verdicts: `python -m tests.benchmarks.sample FOLDER… --listed 200`.

The pairs of all folders and samples are printed in one shuffled list, without scores and without the name of the sample:

- `listed`: of all pairs of two sites that `related` lists, whatever their score;
- `near`: of the pairs that the rule rejects by a small margin;
- `stored`: of the pairs that it links;
- `lowest`: of the tenth of these with the lowest scores;
- `story`: of the pairs that are in one story without a link.

`--reading 2` prints them in another order. Verdicts are written into a text file, each as the number of the pair and a letter:
`1s 2n 3f 4g` (`same`, `none`, `follow-up`, `guide`; see `judged.py`). `--record FIRST SECOND` adds the verdicts of one or
two such files to `judgements/`, by hash alone. The second reading counts. Pairs with earlier verdicts keep them.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from random import Random

from tests.benchmarks.judged import JUDGEMENTS, Collection, Key, judged_lines, shown

VERDICTS = {"s": "same", "n": "none", "f": "follow-up", "g": "guide"}
SAMPLES = ("listed", "near", "stored", "lowest", "story")
_NEAR_ODDS = 1.0

Drawn = tuple[Collection, Key, list[str]]
"""A pair of a collection, and the samples that it was drawn for."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    for name in SAMPLES:
        parser.add_argument(f"--{name}", type=int, default=0, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reading", type=int, default=1)
    parser.add_argument("--record", nargs="+", type=Path, metavar="FILE")
    options = parser.parse_args()
    counts = {name: getattr(options, name) for name in SAMPLES}
    drawn = [one for folder in options.folders for one in draw(Collection(folder), counts, options.seed)]
    if options.record:
        readings = [read(path, shuffled(drawn, number)) for number, path in enumerate(options.record, 1)]
        for collection in {one[0] for one in drawn}:
            print(collection.name, record(collection, drawn, readings), "new verdicts")
        return
    for number, (collection, pair, _) in enumerate(shuffled(drawn, options.reading), 1):
        print(number)
        for one in sorted(pair, reverse=number % 2 == options.reading % 2):
            print("  ", shown(collection.item(one)))


def draw(collection: Collection, counts: dict[str, int], seed: int) -> list[Drawn]:
    """Return seeded samples of a collection's pairs, each pair once."""
    links = [pair for pair in collection.links if pair in collection.evidence]
    pools: dict[str, Iterable[Key]] = {
        "listed": (pair for pair in collection.evidence if pair in collection.listed),
        "near": (
            pair
            for pair, found in collection.evidence.items()
            if pair not in collection.links and found.score >= 0.10 and found.log_odds >= _NEAR_ODDS
        ),
        "stored": links,
        "lowest": sorted(links, key=lambda pair: (collection.scores[pair], collection.hashes(pair)))[
            : len(links) // 10
        ],
    }
    within = (pair for story in collection.stories for pair in combinations(sorted(story), 2))
    pools["story"] = (pair for pair in within if pair not in collection.links)
    chosen: dict[Key, list[str]] = {}
    for place, name in enumerate(SAMPLES):
        pool = sorted(pools[name], key=collection.hashes)
        for pair in Random(seed + place).sample(pool, min(counts[name], len(pool))):
            chosen.setdefault(pair, []).append(name)
    return [
        (collection, pair, names) for pair, names in sorted(chosen.items(), key=lambda one: collection.hashes(one[0]))
    ]


def shuffled(drawn: list[Drawn], reading: int) -> list[Drawn]:
    order = list(drawn)
    Random(reading).shuffle(order)
    return order


def read(path: Path, order: list[Drawn]) -> dict[tuple[str, Key], str]:
    """Return the verdicts of a file."""
    found = re.findall(r"(\d+)\s*([snfg])", path.read_text("utf-8"))
    return {(order[int(number) - 1][0].name, order[int(number) - 1][1]): VERDICTS[letter] for number, letter in found}


def record(collection: Collection, drawn: list[Drawn], readings: list[dict[tuple[str, Key], str]]) -> int:
    """Add the verdicts on pairs without one to the judgements of a collection; return how many."""
    known = {tuple(sorted((line["a"], line["b"]))) for line in judged_lines(collection.name)}
    lines = []
    for one, pair, names in drawn:
        found = [reading[one.name, pair] for reading in readings if (one.name, pair) in reading]
        a, b = collection.hashes(pair) if one is collection else ("", "")
        if one is collection and found and (a, b) not in known:
            verdicts = dict(zip(("first", "second"), found, strict=False))
            facts = {"same_site": False, "listed": pair in collection.listed, "sample": names}
            lines.append({"a": a, "b": b, "same": found[-1] == "same", **verdicts, "verdict": found[-1], **facts})
    with (JUDGEMENTS / f"candidates-{collection.name}.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return len(lines)


if __name__ == "__main__":
    main()
