"""A seeded sample of stored links to read and judge: `python -m tests.benchmarks.sample FOLDER [--count 100] [--seed 1]`.

Each pair is printed with its number. With `--different 3,17` the verdicts are written to `judgements/`, by id alone: these
numbers tell different stories, the others the same.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

from tests.benchmarks.collection import arrive, load, stored_links
from tests.benchmarks.linking import JUDGEMENTS
from worker.link.ties import THRESHOLD


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--different", help="numbers of the pairs that tell different stories; writes the verdicts")
    options = parser.parse_args()
    items = load(options.folder)
    pairs, _ = arrive(items, at_once=True, floor=THRESHOLD, most=300)
    links = stored_links(items, pairs)
    by_number = {item.number: item for item in items}
    keys = sorted(links, key=lambda pair: (by_number[pair[0]].url_hash, by_number[pair[1]].url_hash))
    chosen = Random(options.seed).sample(keys, min(options.count, len(keys)))
    if options.different is None:
        for number, (a, b) in enumerate(chosen, 1):
            kind, score = links[a, b]
            print(f"\n{number}. {kind} {score:.2f}")
            for item in (by_number[a], by_number[b]):
                print(f"   {item.title} | {' '.join((item.excerpt or '').split())[:200]}")
        return
    different = {int(number) for number in options.different.split(",") if number}
    path = JUDGEMENTS / f"{options.folder.name}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number, (a, b) in enumerate(chosen, 1):
            one = {"a": by_number[a].url_hash.hex(), "b": by_number[b].url_hash.hex(), "same": number not in different}
            file.write(json.dumps(one) + "\n")
    print(f"{len(chosen)} verdicts in {path}, {len(different)} of them: different stories")


if __name__ == "__main__":
    main()
