"""Print a seeded sample of stored links for people to judge: `python -m tests.benchmarks.sample FOLDER [--count 100]
[--seed 1]`.

Each pair without a judgement is printed with its number. `--different 3,17` writes judgements to `judgements/`, by id
alone:
of the new pairs these numbers belong to different stories, the others to the same one. Earlier judgements are kept,
also those
of pairs that are no longer linked or drawn.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

from tests.benchmarks.collection import arrive, load, stored_links
from tests.benchmarks.linking import JUDGEMENTS
from worker.linking.evidence import CANDIDATE_SCORE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--different", help="numbers of the pairs that tell different stories; writes the verdicts")
    options = parser.parse_args()
    items = load(options.folder)
    pairs, _ = arrive(items, at_once=True, floor=CANDIDATE_SCORE, most=300)
    links = stored_links(items, pairs)
    by_number = {item.number: item for item in items}
    keys = sorted(links, key=lambda pair: (by_number[pair[0]].url_hash, by_number[pair[1]].url_hash))
    chosen = Random(options.seed).sample(keys, min(options.count, len(keys)))
    path = JUDGEMENTS / f"{options.folder.name}.jsonl"
    known = read_verdicts(path)
    ids = {pair: tuple(by_number[number].url_hash.hex() for number in pair) for pair in chosen}
    new = {number: pair for number, pair in enumerate(chosen, 1) if frozenset(ids[pair]) not in known}
    if options.different is None:
        for number, (a, b) in new.items():
            kind, score = links[a, b]
            print(f"\n{number}. {kind} {score:.2f}")
            for item in (by_number[a], by_number[b]):
                print(f"   {item.title} | {' '.join((item.excerpt or '').split())[:200]}")
        return
    different = {int(number) for number in options.different.split(",") if number}
    with path.open("a", encoding="utf-8") as file:
        for number, pair in new.items():
            one = {"a": ids[pair][0], "b": ids[pair][1], "same": number not in different}
            file.write(json.dumps(one) + "\n")
    known = read_verdicts(path)
    right = sum(known[frozenset(one)] for one in ids.values())
    print(f"{len(new)} new verdicts in {path}; of the {len(chosen)} drawn {right} tell the same story")


def read_verdicts(path: Path) -> dict[frozenset[str], bool]:
    """Return pair of ids → whether they belong to the same story."""
    if not path.exists():
        return {}
    found = map(json.loads, path.read_text("utf-8").splitlines())
    return {frozenset((one["a"], one["b"])): one["same"] for one in found}


if __name__ == "__main__":
    main()
