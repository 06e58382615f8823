"""An event that very many sites report: the number of links stays bounded, and each link is stored from both ends."""

from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import select, update

from tests.integration.linking.newsroom import (
    _BEGIN,
    Story,
    entries,
    finish,
    fresh_store,
    keep_past,
    new_linker,
    store,
)
from tests.integration.store.store_driver import empty
from tests.support.databases import SQLITE_BY_DEFAULT
from worker.linking.pairs.link_choices import MAX_LINKS
from worker.store.linking.links import KINDS
from worker.store.tables import articles, links

_REPORTS = 70


def _reports(random):
    words = ["dawn", "quay", "union", "night", "island", "wages", "talks", "harbour", "tourists", "fog"]
    return [
        Story(f"n{n}", f"site{n}.example", f"Norda crews strike in Oslo {random.choice(words)}",
              f"Ferry crews of Norda stopped work, {' '.join(random.sample(words, 3))}", _BEGIN + timedelta(minutes=n), 50)
        for n in range(_REPORTS)
    ]  # fmt: skip


def _links(engine):
    with engine.connect() as connection:
        hash_of = dict(connection.execute(select(articles.c.id, articles.c.url_hash)).all())
        rows = connection.execute(select(links.c.source_id, links.c.target_hash, links.c.score, links.c.rank)).all()
    return {(hash_of[row.source_id], row.target_hash): (row.score, row.rank) for row in rows}


@pytest.fixture
def engine(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    yield engine
    engine.dispose()


def test_an_article_draws_a_bounded_number_of_links(engine):
    keep_past(engine, Random(1))
    linker = new_linker(engine)
    claimed = entries(_reports(Random(2)))
    for start in range(0, _REPORTS, 20):
        store(engine, claimed[start : start + 20])
        finish(linker)
    found = _links(engine)
    assert len(found) > 20 * _REPORTS, "they report one event"
    assert len([rank for _, rank in found.values() if rank is not None]) <= MAX_LINKS * _REPORTS
    assert {(target, source): score for (source, target), (score, _) in found.items()} == {
        pair: score for pair, (score, _) in found.items()
    }, "each link is stored from both ends, with one score"


@SQLITE_BY_DEFAULT
def test_linking_an_article_again_changes_no_link(engine):
    keep_past(engine, Random(1))
    linker = new_linker(engine)
    store(engine, entries(_reports(Random(2))))
    finish(linker)
    before = _links(engine)
    for one in (1, _REPORTS // 2, _REPORTS):
        with engine.begin() as connection:
            connection.execute(update(articles).where(articles.c.id == one).values(link_state="pending"))
        finish(linker)
        assert _links(engine) == before


@SQLITE_BY_DEFAULT
def test_the_order_of_arrival_on_a_first_day_changes_no_link(engine):
    claimed, results = entries(_reports(Random(2))), []
    for seed in range(2):
        empty(engine)
        order = Random(seed).sample(claimed, _REPORTS)
        for start in range(0, _REPORTS, 30):
            store(engine, order[start : start + 30])
            new_linker(engine).step()
        finish(new_linker(engine))
        results.append(_links(engine))
    assert results[0] == results[1]
    assert results[0]


@SQLITE_BY_DEFAULT
def test_many_similar_articles_of_its_own_site_do_not_hide_a_report_of_another_site(engine):
    keep_past(engine, Random(1))
    text = "Ferry crews of Norda stopped work at dawn on the quay, and tourists wait on the island in the fog"
    series = [
        Story(
            f"own{n}", "series.example", f"Norda crews strike in Oslo, day {n}", text, _BEGIN + timedelta(minutes=n), 50
        )
        for n in range(400)
    ]
    other = Story(
        "other", "other.example", "Crews of Norda strike in Oslo", text[:80], _BEGIN + timedelta(minutes=400), 50
    )
    linker = new_linker(engine)
    claimed = entries([other, *series])
    for part in (claimed[:1], claimed[1:]):
        store(engine, part)
        finish(linker)
    with engine.connect() as connection:
        urls = dict(connection.execute(select(articles.c.id, articles.c.canonical_url)).all())
        ends = connection.execute(select(links.c.source_id, links.c.target_id).where(links.c.kind.in_(KINDS))).all()
    assert {urls[source] for source, target in ends if urls[target] == other.url} == {one.url for one in series}
