"""Measure how often the rules of heat give the value that a collection reports.

    python -m tests.benchmarks.heat FOLDER --bonus 20 --threshold 70

Counts the documents of news (`category: news`) that report the figure and have a quality. `published by reported heat`
checks
only the rule "published is heat >= threshold"; `published` computes everything from quality and links.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sqlalchemy import select

from tests.benchmarks.stored import stored
from worker.heat_rules import AllRules, HeatRules
from worker.store.tables import articles


def agreement(folder: Path, rules: HeatRules) -> dict[str, tuple[int, int]]:
    """Return figure → (documents that agree, documents that report it)."""
    with stored(folder, AllRules(rules)) as (engine, _), engine.connect() as connection:
        rows = connection.execute(
            select(articles).where(articles.c.quality.is_not(None), ~articles.c.is_stub, articles.c.category == "news")
        ).all()
    heat = [row for row in rows if row.reported_heat is not None]
    published = [row for row in rows if row.reported_published is not None]
    both = [row for row in published if row.reported_heat is not None]
    return {
        "heat": (sum(row.heat == row.reported_heat for row in heat), len(heat)),
        "published": (sum(row.is_published == row.reported_published for row in published), len(published)),
        "published by reported heat": (
            sum((row.reported_heat >= rules.threshold) == row.reported_published for row in both), len(both),
        ),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--bonus", type=int, default=HeatRules().bonus, help="for each related article")
    parser.add_argument("--floor", type=int, default=HeatRules().floor, help="quality from which the bonus is given")
    parser.add_argument("--threshold", type=int, default=HeatRules().threshold, help="heat from which it is published")
    options = parser.parse_args()
    rules = HeatRules(options.bonus, options.floor, options.threshold)
    print(f"{'collection':<24} {'figure':<28} {'agree':>7} {'of':>7} {'share':>8}")
    for folder in options.folder:
        for figure, (agree, count) in agreement(folder, rules).items():
            share = f"{agree / count:8.2%}" if count else "       -"
            print(f"{folder.name:<24} {figure:<28} {agree:>7,} {count:>7,} {share}")


if __name__ == "__main__":
    main()
