"""How well and how fast articles are linked: `python -m tests.benchmarks.linking [FOLDER…] [--scale N]`.

Runs Copydesk's own functions (parse, enrich, index, links, stories) over each folder in order of arrival with `related` hidden,
then compares. Without a folder it uses the small set of `small.py`.

- MAP and recall@k are measured on the *ranking*: all articles within 14 days by falling cosine, down to 0.02, against the
  `related` lists (made symmetric) of the articles that have one.
- Links and stories are what is *stored*. Precision is that of hand-read pairs in `judgements/`, without follow-ups, not of
  `related`, which misses half of the true links. The pairs are no random sample: see `evidence.py` for figures that are weighted.
- CPU is that of one core for features and query, without the database.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

from tests.benchmarks.collection import Item, arrive, load, stored_links, stories_by_links
from tests.benchmarks.small import small_set

JUDGEMENTS = Path(__file__).parent / "judgements"
FLOOR, DEPTH = 0.02, 200


def ranking(items: list[Item], pairs: dict[tuple[int, int], float]) -> dict[str, float]:
    """Return MAP and recall@k over the articles with at least one true link."""
    near: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for (a, b), score in pairs.items():
        near[a].append((-score, b))
        near[b].append((-score, a))
    query = [item for item in items if item.related]
    totals: dict[str, float] = defaultdict(float)
    for item in query:
        hits = [other in item.related for _, other in sorted(near[item.number])]
        found = 0
        for place, hit in enumerate(hits, 1):
            found += hit
            totals["MAP"] += hit * found / place / len(item.related)
        for k in (5, 10, 20):
            totals[f"recall@{k}"] += sum(hits[:k]) / len(item.related)
    return {name: total / len(query) for name, total in totals.items()} if query else {}


def judged(items: list[Item], links: dict[tuple[int, int], tuple[str, float]]) -> tuple[int, int]:
    """Return (links of the same story, all) for the stored links that a person has judged."""
    verdicts = {}
    for path in JUDGEMENTS.glob("*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            one = json.loads(line)
            verdicts[frozenset((one["a"], one["b"]))] = one["same"]
    hash_of = {item.number: item.url_hash.hex() for item in items}
    read = [verdicts[key] for a, b in links if (key := frozenset((hash_of[a], hash_of[b]))) in verdicts]
    return sum(read), len(read)


def report(name: str, items: list[Item]) -> None:
    lists = sum(len(item.related) for item in items) // 2
    print(f"\n{name}: {len(items):,} articles, {lists:,} pairs by related")
    for label, at_once in (("day by day", False), ("all on one day", True)):
        pairs, _ = arrive(items, at_once=at_once, floor=FLOOR, most=DEPTH)
        links = stored_links(items, pairs)
        stories = stories_by_links(items, links)
        kinds = [kind for kind, _ in links.values()]
        same, read = judged(items, links)
        figures = ", ".join(f"{key} {value:.3f}" for key, value in ranking(items, pairs).items())
        print(f"  {label}: {figures}")
        print(f"    links: {kinds.count('similar'):,} similar, {kinds.count('duplicate'):,} duplicate; "
              f"stories: {len(stories):,}, the largest of {len(stories[0]) if stories else 0}")  # fmt: skip
        if read:
            print(f"    precision of {read} judged links: {same / read:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--scale", type=int, default=0, help="measure cost with so many made-up articles instead")
    options = parser.parse_args()
    if options.scale:
        from tests.benchmarks.scale import measure

        measure(options.scale)
        return
    for folder in options.folders:
        report(folder.name, load(folder))
    if not options.folders:
        report("a small set of our own", small_set())
    sys.stdout.flush()


if __name__ == "__main__":
    main()
