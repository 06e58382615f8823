"""Articles whose links are of an older rule are linked again, after what arrives and by the linker alone."""

import os
import signal
from datetime import UTC, datetime
from random import Random
from unittest import mock

import pytest
from sqlalchemy import select, update

from tests.integration.linking.newsroom import (
    begin_anew,
    entries,
    finish,
    found,
    fresh_store,
    in_state,
    invent,
    keep_past,
    new_linker,
    nobody_leads,
    store,
)
from tests.support.databases import SQLITE_BY_DEFAULT
from tests.support.servers import until
from worker.jobs import relinking
from worker.jobs.relinking import RelinkingStalled, Span
from worker.linking.pairs.evidence import Evidence
from worker.store.tables import articles

_ALL = Span(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def newsroom(request, migrated_store_url, tmp_path):
    """Return (engine, links and stories by today's rule); the store has links of another rule."""
    engine = fresh_store(migrated_store_url, tmp_path)
    if getattr(request, "param", None) != "first day":
        keep_past(engine, Random(1))
    store(engine, entries(invent(Random(3), 60)))
    finish(new_linker(engine))
    expected = found(engine)
    assert len(expected["links"]) > 15
    link_by_another_rule(engine)
    assert found(engine) != expected
    yield engine, expected
    engine.dispose()


def link_by_another_rule(engine):
    """Link everything as a version did that linked articles from a higher score on, whatever else they share."""
    begin_anew(engine)
    with mock.patch.object(Evidence, "is_one_event", property(lambda one: one.score >= 0.5)):
        finish(new_linker(engine))


def relink(linker, engine):
    while relinking.count_waiting(engine):
        assert linker.step()


@pytest.mark.parametrize("newsroom", ["first day", "later day"], indirect=True)
def test_links_and_stories_of_an_older_rule_become_those_of_todays(newsroom):
    engine, expected = newsroom
    assert _ALL.mark(engine, lambda _: None) == 60
    assert in_state(engine, "outdated") == 60
    relink(new_linker(engine), engine)
    assert found(engine) == expected
    assert in_state(engine, "linked") == 60


def test_another_linker_continues_where_one_ended(newsroom, monkeypatch):
    engine, expected = newsroom
    monkeypatch.setattr("worker.linking.linker.BATCH", 20)
    _ALL.mark(engine, lambda _: None)
    for left in (40, 20, 0):
        assert new_linker(engine).step() == 20
        assert relinking.count_waiting(engine) == left
    assert found(engine) == expected


@SQLITE_BY_DEFAULT
def test_only_articles_of_the_span_are_linked_again(newsroom):
    engine, _ = newsroom
    with engine.connect() as connection:
        times = sorted(connection.scalars(select(articles.c.published_at)))
    span = Span(times[20], times[39])
    within = sum(span.first <= time <= span.last for time in times)
    assert span.count(engine).articles == within
    assert span.mark(engine, lambda _: None) == within
    assert span.mark(engine, lambda _: None) == 0, "those that wait already are not marked again"


@SQLITE_BY_DEFAULT
def test_what_arrives_is_linked_before_and_keeps_its_place(newsroom):
    engine, _ = newsroom
    invented = invent(Random(3), 90)
    _ALL.mark(engine, lambda _: None)
    store(engine, entries(invented)[60:])
    linker = new_linker(engine)
    linker.step()
    assert in_state(engine, "pending") == 0
    assert relinking.count_waiting(engine) == 60
    finish(linker)
    relink(linker, engine)
    changed = found(engine)
    _ALL.mark(engine, lambda _: None)
    relink(new_linker(engine), engine)
    assert found(engine) == changed


@SQLITE_BY_DEFAULT
def test_an_article_that_changes_while_it_waits_is_linked_in_its_new_version(newsroom):
    engine, _ = newsroom
    invented = invent(Random(3), 60)
    _ALL.mark(engine, lambda _: None)
    changed = [*invented, invented[5].__class__(**{**vars(invented[5]), "title": invented[30].title})]
    store(engine, entries(changed)[60:])
    assert in_state(engine, "pending") == 1
    assert relinking.count_waiting(engine) == 59
    linker = new_linker(engine)
    finish(linker)
    relink(linker, engine)
    expected = found(engine)
    with engine.begin() as connection:
        connection.execute(update(articles).values(link_state="pending"))
    finish(new_linker(engine))
    assert found(engine) == expected


def test_a_linker_that_is_killed_leaves_the_rest_marked(newsroom, linker_process, migrated_store_url):
    engine, expected = newsroom
    nobody_leads(engine)
    first = linker_process(migrated_store_url)
    _ALL.mark(engine, lambda _: None)
    until(lambda: relinking.count_waiting(engine) < 60, what="some are linked again", every=0.002)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    linker_process(migrated_store_url)
    relinking.wait_until_linked(engine, lambda _: None)
    assert found(engine) == expected


@SQLITE_BY_DEFAULT
def test_without_a_linker_waiting_ends_with_an_error_and_the_articles_stay_marked(newsroom):
    engine, _ = newsroom
    _ALL.mark(engine, lambda _: None)
    with pytest.raises(RelinkingStalled, match="60 articles"):
        relinking.wait_until_linked(engine, lambda _: None, timeout=0.3)
    assert relinking.count_waiting(engine) == 60


@SQLITE_BY_DEFAULT
def test_old_articles_get_a_window_of_their_own_in_a_store_larger_than_the_window(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    keep_past(engine, Random(1))
    invented = sorted(invent(Random(3), 240), key=lambda one: one.at)
    store(engine, entries(invented[:230]))
    linker = new_linker(engine)
    finish(linker)
    expected = found(engine)
    link_by_another_rule(engine)
    _ALL.mark(engine, lambda _: None)

    linker = new_linker(engine, window=200)
    store(engine, entries(invented)[230:])
    finish(linker)
    window = linker._window.index
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worker.linking.linker.BATCH", 40)
        relink(linker, engine)
    assert linker._window.index is window, "the window of what arrives stays"
    linker.step()
    assert linker._past is None
    again = found(engine)
    new = {one.url for one in invented[230:]}
    assert {link for link in again["links"] if not {link[0], link[1]} & new} >= expected["links"]
    engine.dispose()
