"""Reports of one event are linked in eight languages, among English articles; those of the same theme are not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
import yaml

from tests.integration.linking.newsroom import Story, entries, finish, fresh_store, invent, new_linker, store
from worker.store.tables import articles, links

HEADLINES = sorted((Path(__file__).parent / "headlines").glob("*.yaml"))
BEGIN = datetime(2020, 5, 1, tzinfo=UTC)


class Quoted(Story):
    """A document whose texts may hold anything."""

    @property
    def raw(self):
        header = {
            "title": self.title,
            "excerpt": self.excerpt,
            "webUrl": self.url,
            "publishedDateTime": f"{self.at:%Y-%m-%dT%H:%M:%SZ}",
        }
        return f"---\n{yaml.safe_dump(header, allow_unicode=True)}---\n".encode()


def reports(path):
    """Return [(event, document)]: the two reports of each event, and the near misses, each an event of its own."""
    fixture = yaml.safe_load(path.read_text("utf-8"))
    groups = [*fixture["events"], *([one] for one in fixture["near_misses"])]
    return [
        (number, Quoted(f"{path.stem}{number}-{site}", f"{site}.example", one["title"], one["excerpt"], BEGIN + timedelta(hours=site), 50))
        for number, group in enumerate(groups) for site, one in enumerate(group)
    ]  # fmt: skip


@pytest.mark.parametrize("path", HEADLINES, ids=[path.stem for path in HEADLINES])
def test_reports_of_one_event_are_linked_and_near_misses_are_not(path, migrated_sqlite, tmp_path):
    engine = fresh_store(migrated_sqlite(tmp_path / "store.db"), tmp_path)
    headlines = reports(path)
    store(engine, entries([*(one for _, one in headlines), *invent(Random(5), 200)]))
    finish(new_linker(engine))
    event_of = {one.url: number for number, one in headlines}
    with engine.connect() as connection:
        urls = dict(
            connection.execute(articles.select().with_only_columns(articles.c.id, articles.c.canonical_url)).all()
        )
        pairs = {
            frozenset((urls[row.source_id], urls[row.target_id]))
            for row in connection.execute(links.select().where(links.c.kind == "similar")) if urls[row.source_id] in event_of
        }  # fmt: skip
    engine.dispose()
    right = [pair for pair in pairs if len({event_of.get(url) for url in pair}) == 1]
    assert len(right) >= 8, "of ten events"
    assert len(pairs) - len(right) <= 1, [pair for pair in pairs if pair not in right]
