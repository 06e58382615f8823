"""Show what each enrichment changed in a collection, with a seeded sample for people to judge.

    python -m tests.benchmarks.enrichment FOLDER --seed 1

For each enrichment it prints how many documents changed, and `--sample` random changes: the document's key, the stated
value
and the result. Judgements are kept in `tests/benchmarks/judgements`, by key; `--judged` prints their table.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import select

from tests.benchmarks.stored import stored
from worker.documents.validation import read
from worker.heat_rules import AllRules
from worker.producer.input_files import read_paths
from worker.store.tables import article_topics, articles, documents, images, providers, topics

JUDGEMENTS = Path(__file__).parent / "judgements"
Change = tuple[str, str, str]
"""The document's key, the stated value, the result."""


def changes(folder: Path) -> dict[str, list[Change]]:
    """Return enrichment → its changes, ordered by key."""
    said = {one.key: read(one.raw or b"", has_key=True).article for one in read_paths([str(folder)], source="x")}
    found: dict[str, list[Change]] = {}
    with stored(folder, AllRules()) as (engine, _), engine.connect() as connection:
        query = select(articles, documents.c.key, providers.c.domain, providers.c.name.label("provider")).join(
            documents, documents.c.id == articles.c.document_id).outerjoin(providers)  # fmt: skip
        stored_rows = {row.id: row for row in connection.execute(query.where(~articles.c.is_stub))}
        inferred: dict[int, list[str]] = {}
        of_topics = select(article_topics.c.article_id, topics.c.name).join(topics)
        for row in connection.execute(of_topics.where(article_topics.c.origin == "inferred").order_by(topics.c.slug)):
            inferred.setdefault(row.article_id, []).append(row.name)
        shown: dict[int, list[Any]] = {}
        for row in connection.execute(select(images).order_by(images.c.article_id, images.c.rank)):
            shown.setdefault(row.article_id, []).append(row)
    for row in sorted(stored_rows.values(), key=lambda row: row.key):
        article = said[row.key]
        if article is not None:
            for name, before, after in _compare(article, row, inferred.get(row.id, []), shown.get(row.id, [])):
                found.setdefault(name, []).append((row.key, before, after))
    return found


def _compare(article: Any, row: Any, inferred: list[str], shown: list[Any]) -> Iterator[tuple[str, str, str]]:
    stated = article.provider
    title, excerpt = article.title or article.name or "", article.excerpt or ""
    name = row.provider if row.domain else row.provider_name
    if stated and (stated.domain, stated.name) != (row.domain, name):
        yield "provider", f"{stated.name} ({stated.domain})", f"{name} ({row.domain}), here called {row.provider_name}"
    if title != row.title:
        yield "title", title, row.title or ""
    if excerpt != (row.excerpt or ""):
        yield "excerpt", excerpt, row.excerpt or ""
    if row.language and not article.locale:
        yield (
            ("language" if row.language == "en" else "language, not English"),
            f"{title}. {excerpt}"[:200],
            row.language,
        )
    if inferred:
        yield "topics", f"{title}. {excerpt} [{', '.join(article.topics)}]", ", ".join(inferred)
    placeholders = [one.url for one in shown if one.is_placeholder]
    if placeholders:
        yield "placeholders", title, ", ".join(placeholders)
    if article.images and row.image_url != article.images[0].url:
        yield (
            "best image",
            " ".join(f"{one.url} {one.width}x{one.height}" for one in article.images),
            str(row.image_url),
        )
    if row.duration_seconds is not None:
        yield "duration", str(article.length), str(row.duration_seconds)


def _print_sample(found: dict[str, list[Change]], seed: int, most: int) -> None:
    for name in sorted(found):
        print(f"\n== {name}: {len(found[name]):,} documents changed")
        for key, before, after in sorted(Random(seed).sample(found[name], min(most, len(found[name])))):
            print(f"  {key}\n    - {before}\n    + {after}")


def _print_judged() -> None:
    print(f"{'collection':<22} {'enrichment':<24} {'changed':>8} {'judged':>7} {'right':>6} {'wrong':>6}")
    for path in sorted(JUDGEMENTS.glob("*.json")):
        stored_rows = json.loads(path.read_text("utf-8"))
        for name, one in stored_rows["enrichments"].items():
            verdicts = Counter(one["verdicts"].values())
            print(f"{stored_rows['collection']:<22} {name:<24} {one['changed']:>8,} {verdicts.total():>7} "
                  f"{verdicts['right']:>6} {verdicts['wrong']:>6}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=20)
    parser.add_argument("--judged", action="store_true", help="print the table of the verdicts that are kept")
    options = parser.parse_args()
    if options.folder:
        _print_sample(changes(options.folder), options.seed, options.sample)
    if options.judged or not options.folder:
        _print_judged()


if __name__ == "__main__":
    main()
