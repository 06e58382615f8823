"""A step of background work writes a bounded number of rows, however many it concerns."""

from dataclasses import replace
from itertools import pairwise

import pytest
from sqlalchemy import func, select

from tests.integration.store.histories import Put, Retract
from tests.integration.store.store_driver import empty, entry, settle, work
from worker.heat_rules import AllRules
from worker.settings import Settings
from worker.store.background import heat_step, image_step, name_step
from worker.store.background.steps import work_step
from worker.store.decide import decision
from worker.store.engine import make_engine
from worker.store.tables import articles, documents, images, placeholder_images, providers

_LOGO = "https://site3.example/logo.jpg"
_PUT = Put("s", "k", "https://site3.example/0", None, (), "A", "x", _LOGO, "AAAA")
_ARTICLES = 12
_MOST = 5


@pytest.fixture
def engine(migrated_store_url, tmp_path):
    config = Settings(database_url=migrated_store_url, data_dir=tmp_path)
    engine = make_engine(config)
    yield engine
    engine.dispose()


def _count(engine, query):
    with engine.connect() as connection:
        return connection.scalar(query)


def _marked(engine):
    return _count(engine, select(func.count()).select_from(images).where(images.c.is_placeholder))


def _with_best_image(engine):
    return _count(engine, select(func.count(articles.c.image_url)))


def _steps(engine):
    """Do all steps; yields the number of marked uses after each."""
    while work_step(engine, AllRules()) is not None:
        yield _marked(engine)


def test_an_image_that_becomes_a_placeholder_is_marked_a_few_uses_a_step(engine, monkeypatch):
    monkeypatch.setattr(image_step, "STEP_USES", _MOST)
    monkeypatch.setattr(image_step, "_FEWEST_USES", 1)
    shows = [replace(_PUT, key=f"k{n}", url=f"https://site3.example/{n}") for n in range(_ARTICLES)]
    work(engine, "documents", [entry(n, one) for n, one in enumerate(shows)])
    settle(engine)
    assert (_marked(engine), _with_best_image(engine)) == (0, _ARTICLES)

    work(
        engine,
        "documents",
        [entry(20 + n, replace(one, title=t)) for n, (one, t) in enumerate(zip(shows[:2], "BC", strict=True))],
    )
    counts = [0, *_steps(engine)]
    assert max(after - before for before, after in pairwise(counts)) <= _MOST + 1
    assert (_marked(engine), _with_best_image(engine)) == (_ARTICLES, 0)

    work(engine, "documents", [entry(30 + n, one) for n, one in enumerate(shows[:2])])
    counts = [_ARTICLES, *_steps(engine)]
    assert max(before - after for before, after in pairwise(counts)) <= _MOST + 1
    assert (_marked(engine), _with_best_image(engine)) == (0, _ARTICLES)
    assert _count(engine, select(func.count()).select_from(placeholder_images)) == 0


def test_the_titles_of_an_image_are_counted_among_a_bounded_number_of_uses(engine, monkeypatch):
    shows = [replace(_PUT, key=f"k{n}", url=f"https://site3.example/{n}", title="AABC"[n]) for n in range(4)]

    def marked(most):
        monkeypatch.setattr(image_step, "MOST_USES", most)
        empty(engine)
        for n, one in enumerate(shows):
            work(engine, "documents", [entry(n, one)])
        settle(engine)
        return _marked(engine)

    assert (marked(4), marked(3)) == (4, 0)


def test_the_names_of_a_provider_are_counted_in_a_bounded_number_of_articles(engine, monkeypatch):
    named = [replace(_PUT, key=f"k{n}", url=f"https://site3.example/{n}", provider=f"Paper {n}") for n in range(3)]

    def names(most):
        monkeypatch.setattr(name_step, "MOST_ARTICLES", most)
        empty(engine)
        work(engine, "documents", [entry(n, one) for n, one in enumerate(named)])
        settle(engine)
        with engine.connect() as connection:
            [row] = connection.execute(select(providers).where(providers.c.domain == "paper.example"))
        return {row.name, *row.other_names} - {None}

    assert (len(names(3)), len(names(2))) == (3, 2)


def test_a_title_that_comes_in_the_middle_of_a_pass_is_counted(engine, monkeypatch):
    monkeypatch.setattr(image_step, "STEP_USES", 1)
    monkeypatch.setattr(image_step, "_FEWEST_USES", 1)
    shows = [replace(_PUT, key=f"k{n}", url=f"https://site3.example/{n}", title="ABC"[n % 3]) for n in range(6)]
    work(engine, "documents", [entry(n, one) for n, one in enumerate(shows)])
    while _marked(engine) == 0:
        assert work_step(engine, AllRules()) is not None

    only_two = [replace(one, title="B") for one in shows if one.title == "C"]
    work(engine, "documents", [entry(10 + n, one) for n, one in enumerate(only_two)])
    settle(engine)

    assert (_marked(engine), _with_best_image(engine)) == (0, 6)


def test_a_retraction_of_a_url_reaches_the_newest_documents_first_and_a_few_a_step(engine, monkeypatch):
    monkeypatch.setattr(decision, "STEP_DOCUMENTS", _MOST)
    describe = [replace(_PUT, key=f"k{n}", image=None) for n in range(_ARTICLES)]
    others = [replace(one, source="t") for one in describe[:3]]
    for n, one in enumerate([*describe, *others]):
        work(engine, "documents", [entry(n, one)])
    live = select(documents.c.source, documents.c.key).where(~documents.c.retracted).order_by(documents.c.revision)
    work(engine, "documents", [entry(50, Retract("s", _PUT.url))])
    with engine.connect() as connection:
        left = [one.key for one in connection.execute(live) if one.source == "s"]
    assert left == [f"k{n}" for n in range(_ARTICLES - _MOST)]

    settle(engine)
    with engine.connect() as connection:
        assert {one.source for one in connection.execute(live)} == {"t"}


def test_the_articles_that_list_an_article_by_any_of_its_urls_are_computed_a_few_a_step(engine, monkeypatch):
    monkeypatch.setattr(heat_step, "STEP_ARTICLES", _MOST)
    url, alias, collection = "https://site1.example/story", "https://site2.example/story", "https://site4.example/story"
    listed = replace(_PUT, key="listed", url=url, amp=alias, image=None, quality=10)
    names = [(url,), (alias,), (url, alias)]
    namers = [
        replace(_PUT, key=f"k{n}", url=f"https://site3.example/{n}", image=None, related=names[n % 3], quality=80)
        for n in range(_ARTICLES)
    ]
    contains = replace(_PUT, key="collection", url=collection, image=None, items=("listed",))
    work(engine, "documents", [entry(n, one) for n, one in enumerate([listed, contains, *namers])])
    settle(engine)
    led = select(func.count()).select_from(articles).where(articles.c.lead_id != articles.c.id, articles.c.heat == -1)
    assert _count(engine, led) == 0

    work(engine, "documents", [entry(50, replace(listed, quality=95))])
    counts = [0, *(_count(engine, led) for _ in _steps(engine))]

    assert counts[-1] == _ARTICLES
    assert max(after - before for before, after in pairwise(counts)) == _MOST
