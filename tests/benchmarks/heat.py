"""Measure how often the rules of heat give the value that a collection reports.

    python -m tests.benchmarks.heat FOLDER --bonus 20 --threshold 70 --misses

Counts the documents of news (`category: news`; with `--any-category` all) that report the figure and have a quality.
`published by reported heat` checks only the rule "published is heat >= threshold"; `published` computes everything from
quality and links. `--misses` lists each document whose heat differs, with the cause.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from tests.benchmarks.stored import stored
from worker.enrichment.heat import NOT_LEAD, bonus_of
from worker.heat_rules import AllRules, HeatRules
from worker.store.tables import articles


def reporting(folder: Path, rules: HeatRules, *, any_category: bool = False) -> list[Row[Any]]:
    """Return the stored articles of a collection that have a quality."""
    wanted = [articles.c.quality.is_not(None), ~articles.c.is_stub]
    if not any_category:
        wanted.append(articles.c.category == "news")
    with stored(folder, AllRules(rules)) as (engine, _), engine.connect() as connection:
        return list(connection.execute(select(articles).where(*wanted)))


def miss(row: Row[Any], rules: HeatRules) -> str | None:
    """Return the cause if the computed heat of an article differs from the reported one."""
    if row.reported_heat is None or row.heat == row.reported_heat:
        return None
    if row.heat == NOT_LEAD:
        return "a related article ranks before it, and its document does not say so"
    if row.reported_heat == NOT_LEAD:
        return "no related article ranks before it, and its document says so"
    implied = row.reported_heat - bonus_of(row.quality, row.related_count or 0, rules)
    return f"the document's heat was computed for the quality {implied}, and the document states {row.quality}"


def agreement(rows: list[Row[Any]], rules: HeatRules) -> dict[str, tuple[int, int]]:
    """Return figure → (documents that agree, documents that report it)."""
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
    parser.add_argument("--any-category", action="store_true", help="all documents, not only news")
    parser.add_argument("--misses", action="store_true", help="list each document whose heat differs")
    options = parser.parse_args()
    rules = HeatRules(options.bonus, options.floor, options.threshold)
    print(f"{'collection':<24} {'figure':<28} {'agree':>7} {'of':>7} {'share':>8}")
    for folder in options.folder:
        rows = reporting(folder, rules, any_category=options.any_category)
        for figure, (agree, count) in agreement(rows, rules).items():
            share = f"{agree / count:8.2%}" if count else "       -"
            print(f"{folder.name:<24} {figure:<28} {agree:>7,} {count:>7,} {share}")
        for row in rows if options.misses else ():
            if cause := miss(row, rules):
                print(f"  {row.canonical_url or row.title}: reported {row.reported_heat}, computed {row.heat}: {cause}")


if __name__ == "__main__":
    main()
