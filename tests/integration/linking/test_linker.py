"""Links and stories are a function of the articles; neither the order of arrival nor restarts change them."""

import zlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from tests.integration.linking.newsroom import (
    a_day_passes,
    begin_anew,
    entries,
    finish,
    found,
    fresh_store,
    history,
    in_state,
    invent,
    keep_past,
    new_linker,
    settle,
    store,
)
from tests.integration.store.store_driver import empty
from tests.support.databases import SQLITE_BY_DEFAULT
from worker.heat_rules import parse_rules
from worker.linking import linker as linker_module
from worker.linking.days.arrival_days import open_day
from worker.linking.lease import Lease
from worker.linking.linker import LEASE_SECONDS, ROLE
from worker.store.linking import compared_articles, day_frequencies, leader
from worker.store.tables import articles, document_frequencies, links, stories


def _run(engine, random, claimed, *, past, restarts=False):
    """Store the entries in a random order, in batches, and run the linker between batches."""
    empty(engine)
    if past:
        keep_past(engine, Random(1))
    linker, claimed = new_linker(engine), random.sample(claimed, len(claimed))
    while claimed:
        size = random.randint(1, 15)
        store(engine, claimed[:size])
        claimed = claimed[size:]
        if random.random() < 0.5:
            linker.step(force=random.random() < 0.3)
        if restarts and random.random() < 0.2:
            linker = new_linker(engine)
    finish(linker)
    return found(engine)


_PAST = pytest.mark.parametrize(("migrated_store_url", "past"), [
    ("sqlite", True), ("postgresql", False), pytest.param("sqlite", False, marks=pytest.mark.long),
    pytest.param("postgresql", True, marks=pytest.mark.long),
], indirect=["migrated_store_url"])  # fmt: skip
"""`past`: whether the store has completed days. The default suite tries each on one database."""


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
@_PAST
def test_order_and_restarts_change_nothing(migrated_store_url, tmp_path, past, seed):
    engine = fresh_store(migrated_store_url, tmp_path)
    claimed = entries(history(Random(7), invent(Random(7), 80)))
    expected = _run(engine, Random(0), claimed, past=past)
    assert len(expected["links"]) > 15
    assert max(size for _, _, _, size, *_ in expected["stories"]) > 2
    again = _run(engine, Random(seed), claimed, past=past, restarts=True)
    for part in expected:
        assert again[part] == expected[part], part
    engine.dispose()


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.long)])
@_PAST
def test_order_and_restarts_change_nothing_where_a_backlog_is_linked_provisionally_first(
    migrated_store_url, tmp_path, past, monkeypatch, seed
):
    engine = fresh_store(migrated_store_url, tmp_path)
    claimed = entries(history(Random(7), invent(Random(7), 80)))
    expected = _run(engine, Random(0), claimed, past=past)
    monkeypatch.setattr(linker_module, "BATCH", 5)
    monkeypatch.setattr(linker_module, "_MAX_PENDING", 5)
    again = _run(engine, Random(seed), claimed, past=past, restarts=True)
    for part in expected:
        assert again[part] == expected[part], part
    engine.dispose()


def test_all_of_a_backlog_is_linked_by_scores_before_the_first_is_linked_for_good(
    migrated_store_url, tmp_path, monkeypatch
):
    engine = fresh_store(migrated_store_url, tmp_path)
    keep_past(engine, Random(1))
    store(engine, entries([one for one in invent(Random(9), 400) if not one.related][:200]))
    monkeypatch.setattr(linker_module, "BATCH", 50)
    monkeypatch.setattr(linker_module, "_MAX_PENDING", 199)
    linker = new_linker(engine)
    while in_state(engine, "pending"):
        assert linker.step()
    assert in_state(engine, "linked") == 0
    at_first = found(engine)
    assert at_first["stories"]
    assert {reason for *_, reason in at_first["links"]} == {"score alone (provisional)"}
    assert min(score for *_, score, _ in at_first["links"]) >= 0.4
    meanwhile = []
    while in_state(engine, "provisional"):
        linker.step()
        meanwhile.append(_pairs(engine))
    at_last = found(engine)
    kept = {link[:2] for link in at_first["links"]} & _pairs(engine)
    assert len(kept) > 15
    assert all(kept <= pairs for pairs in meanwhile), "a link that stays is never missing meanwhile"
    begin_anew(engine)
    monkeypatch.undo()
    finish(new_linker(engine))
    assert at_last == found(engine)
    engine.dispose()


@SQLITE_BY_DEFAULT
def test_a_retracted_article_loses_its_links_also_to_articles_that_are_provisional(
    migrated_store_url, tmp_path, monkeypatch
):
    engine = fresh_store(migrated_store_url, tmp_path)
    keep_past(engine, Random(1))
    invented = [one for one in invent(Random(9), 200) if not one.related][:80]
    store(engine, entries(invented))
    monkeypatch.setattr(linker_module, "BATCH", 10)
    monkeypatch.setattr(linker_module, "_MAX_PENDING", 10)
    linker = new_linker(engine)
    while in_state(engine, "pending"):
        linker.step()
    linked = {source for source, _ in _pairs(engine)}
    gone = next(one for one in reversed(invented) if one.url in linked)
    store(engine, entries([*invented, replace(gone, retracted=True)])[-1:])
    linker.step()
    assert in_state(engine, "provisional") > 60
    assert not [pair for pair in _pairs(engine) if gone.url in pair]
    engine.dispose()


def _pairs(engine):
    return {link[:2] for link in found(engine)["links"]}


def test_in_a_backlog_a_changed_article_keeps_its_links_and_a_retracted_one_loses_them(
    migrated_store_url, tmp_path, monkeypatch
):
    engine = fresh_store(migrated_store_url, tmp_path)
    keep_past(engine, Random(1))
    invented = [one for one in invent(Random(5), 60) if not one.related]
    store(engine, entries(invented))
    finish(new_linker(engine))
    before = found(engine)["links"]
    linked = sorted({source for source, *_ in before})
    gone = [replace(one, retracted=True) for one in invented if one.url == linked[0]]
    changed = [replace(one, excerpt=f"{one.excerpt} extra") for one in invented if one.url != linked[0]]
    store(engine, entries([*invented, *gone, *changed])[len(invented) :])
    monkeypatch.setattr(linker_module, "BATCH", 5)
    monkeypatch.setattr(linker_module, "_MAX_PENDING", 5)
    linker = new_linker(engine)
    while in_state(engine, "pending") >= 5:
        linker.step()
    after = found(engine)["links"]
    assert not [link for link in after if linked[0] in link[:2]]
    assert {link for link in before if linked[0] not in link[:2]} <= after
    settle(linker)
    at_last = found(engine)
    begin_anew(engine)
    finish(new_linker(engine))
    assert at_last == found(engine)
    engine.dispose()


@SQLITE_BY_DEFAULT
def test_articles_that_come_one_by_one_are_linked_together_after_a_pause(migrated_store_url, tmp_path, monkeypatch):
    engine = fresh_store(migrated_store_url, tmp_path)
    keep_past(engine, Random(1))
    claimed = entries(invent(Random(3), 14))
    now = [1000.0]
    monkeypatch.setattr(linker_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(linker_module, "BATCH", 10)
    linker = new_linker(engine, pause=0.5)
    store(engine, claimed[:1])
    assert linker.step() == 1, "the first is linked at once"
    store(engine, claimed[1:3])
    now[0] += 0.4
    assert linker.step() == 0
    now[0] += 0.2
    assert linker.step() == 2
    store(engine, claimed[3:])
    assert linker.step() == 10, "a full batch does not wait"
    assert linker.step() == 0
    now[0] += 0.5
    assert linker.step() == 1
    engine.dispose()


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
@_PAST
def test_incremental_changes_end_as_if_all_articles_were_new(migrated_store_url, tmp_path, past, seed):
    engine = fresh_store(migrated_store_url, tmp_path)
    invented = invent(Random(seed), 60)
    step_by_step = _run(engine, Random(seed), entries(history(Random(seed), invented)), past=past)
    begin_anew(engine)
    finish(new_linker(engine))
    anew = found(engine)
    for part in anew:
        assert step_by_step[part] == anew[part], part
    engine.dispose()


def test_articles_of_a_first_day_are_linked_at_once_and_again_when_arrivals_pause(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    claimed = entries(history(Random(8), invent(Random(8), 60)))
    store(engine, claimed)
    finish(new_linker(engine))
    expected = found(engine)

    empty(engine)
    linker = new_linker(engine)
    for start in range(0, len(claimed), 20):
        store(engine, claimed[start : start + 20])
        while in_state(engine, "pending"):
            assert linker.step(), "something is pending, so the linker works"
    assert found(engine)["links"]
    assert in_state(engine, "provisional")
    settle(linker)
    assert not in_state(engine, "provisional")
    again = found(engine)
    for part in expected:
        assert again[part] == expected[part], part
    engine.dispose()


@SQLITE_BY_DEFAULT
@pytest.mark.parametrize(
    "many", [(2, 3), pytest.param((1, 4), marks=pytest.mark.long)], ids=["2 or 3 parts", "1 or 4 parts"]
)
def test_a_pass_over_the_day_that_is_interrupted_or_ends_with_its_linker_is_made_again(
    migrated_store_url, tmp_path, many
):
    engine = fresh_store(migrated_store_url, tmp_path)
    claimed = entries(invent(Random(6), 40))
    store(engine, claimed)
    finish(new_linker(engine))
    expected = found(engine)

    for parts in many:
        empty(engine)
        linker = new_linker(engine)
        store(engine, claimed[:32])
        while linker._pass is None:
            linker.step()
        for _ in range(parts):
            linker.step()
        store(engine, claimed[32:])
        linker.step()
        assert not in_state(engine, "pending"), "a pass does not delay what arrives"
        settle(linker if parts % 2 else new_linker(engine))
        again = found(engine)
        for part in expected:
            assert again[part] == expected[part], (parts, part)
    engine.dispose()


@SQLITE_BY_DEFAULT
def test_a_first_day_that_ends_before_arrivals_pause_is_linked_as_if_they_had(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    claimed = entries(invent(Random(3), 50))
    results = []
    for is_interrupted in (False, True):
        empty(engine)
        with engine.begin() as connection:
            connection.execute(document_frequencies.delete())
        linker = new_linker(engine)
        store(engine, claimed[:38])
        if is_interrupted:
            while in_state(engine, "pending"):
                linker.step()
            assert in_state(engine, "provisional")
        else:
            finish(linker)
        a_day_passes(engine)
        linker = new_linker(engine)
        store(engine, claimed[38:])
        if is_interrupted:
            linker.step()
            assert not in_state(engine, "pending"), "today's articles do not wait for yesterday's"
        settle(linker)
        results.append(found(engine))
    assert results[0] == results[1]
    engine.dispose()


@SQLITE_BY_DEFAULT
def test_a_window_whose_reading_fails_is_read_again(migrated_store_url, tmp_path, monkeypatch):
    engine = fresh_store(migrated_store_url, tmp_path)
    keep_past(engine, Random(1))
    store(engine, entries(invent(Random(3), 60)))
    finish(new_linker(engine))
    expected = found(engine)

    begin_anew(engine)
    with engine.begin() as connection:  # later versions: the window does not wait for them
        connection.execute(update(articles).values(changed_at=datetime.now(UTC)))
    linker, pages = new_linker(engine), compared_articles.pages

    def broken(connection, *arguments, **more):
        yield next(pages(connection, *arguments, **more))[:20]
        raise OperationalError("SELECT", {}, Exception("the connection is lost"))

    with monkeypatch.context() as lost:
        lost.setattr(compared_articles, "pages", broken)
        with pytest.raises(OperationalError):
            linker.step()
    linker.step()
    finish(linker)
    assert found(engine) == expected
    assert len(linker._window.index) == len(_visible(engine))
    engine.dispose()


def _visible(engine):
    with engine.connect() as connection:
        return connection.scalars(select(articles.c.id).where(articles.c.orphaned_at.is_(None))).all()


@pytest.mark.long
def test_a_small_window_over_a_long_time_gives_the_same_links(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    keep_past(engine, Random(1))
    store(engine, entries(invent(Random(3), 400)))
    finish(new_linker(engine))
    expected = found(engine)
    begin_anew(engine)
    finish(new_linker(engine, window=350))
    assert found(engine) == expected
    engine.dispose()


@SQLITE_BY_DEFAULT
def test_a_window_that_cannot_hold_14_days_is_loaded_once_and_not_for_each_batch(
    migrated_store_url, tmp_path, monkeypatch
):
    engine = fresh_store(migrated_store_url, tmp_path)
    keep_past(engine, Random(1))
    hour, now = timedelta(hours=1), datetime.now(UTC)
    invented = [replace(one, at=now - (240 - number) * hour) for number, one in enumerate(invent(Random(3), 240))]
    store(engine, entries(invented[:150]))
    finish(new_linker(engine))
    loads, pages = [], compared_articles.pages

    def counted(connection, where, **more):
        loads.append(None)
        return pages(connection, where, **more)

    linker = new_linker(engine, window=100)
    monkeypatch.setattr(compared_articles, "pages", counted)
    for start in range(150, 240, 15):
        store(engine, entries(invented)[start : start + 15])
        linker.step()
        assert len(linker._window.index) <= 110
    late = replace(invented[0], key="late", at=now - 60 * hour)
    store(engine, entries([*invented, late])[240:])
    linker.step()
    assert len(loads) == 1, "articles that come some days late are linked with what there is"
    engine.dispose()


def test_a_retracted_article_leaves_its_story_and_ids_stay(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    keep_past(engine, Random(1))
    invented = [one for one in invent(Random(5), 60) if not one.related]
    claimed = entries(invented)
    store(engine, claimed)
    linker = new_linker(engine)
    finish(linker)
    with engine.connect() as connection:
        story = connection.execute(select(stories).where(stories.c.size >= 3).order_by(stories.c.id)).first()
        url = connection.scalar(select(articles.c.canonical_url).where(articles.c.id == story.lead_id))
    key = url.rpartition("/")[2]
    number = next(n for n, one in enumerate(invented) if one.key == key)
    gone = entries([*invented, invented[number].__class__(**{**vars(invented[number]), "retracted": True})])[-1]
    store(engine, [gone])
    finish(linker)
    with engine.connect() as connection:
        after = connection.execute(select(stories).where(stories.c.id == story.id)).first()
        left = connection.execute(select(articles.c.story_id).where(articles.c.id == story.lead_id)).scalar_one()
        tied = connection.execute(select(links).where(links.c.source_id == story.lead_id)).all()
    assert left is None
    assert tied == []
    assert after.size < story.size
    assert after.lead_id != story.lead_id
    engine.dispose()


def test_the_heat_of_a_story_follows_the_rules_of_the_source_of_its_lead(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    store(engine, entries(one for one in invent(Random(5), 30) if not one.related))
    finish(new_linker(engine, rules=parse_rules("20/50/70,test=7/0/70")))
    with engine.connect() as connection:
        led = stories.join(articles, articles.c.id == stories.c.lead_id)
        invented = connection.execute(select(stories.c.heat, stories.c.size, articles.c.quality).select_from(led)).all()
    assert invented
    assert all(row.heat == row.quality + 7 * (row.size - 1) for row in invented)
    engine.dispose()


def test_a_replaced_leader_writes_nothing(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    keep_past(engine, Random(1))
    store(engine, entries(invent(Random(2), 30)))
    old = new_linker(engine)
    new_linker(engine)
    with pytest.raises(leader.NoLongerLeader):
        old.step()
    assert found(engine)["links"] == set()
    engine.dispose()


def test_one_linker_leads_until_its_lock_expires(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    first = leader.acquire(engine, ROLE, "one", seconds=60)
    assert first == 1
    assert leader.acquire(engine, ROLE, "two", seconds=60) is None
    leader.resign(engine, ROLE, first)
    second = leader.acquire(engine, ROLE, "two", seconds=60)
    assert second == 2
    with pytest.raises(leader.NoLongerLeader):
        leader.renew(engine, ROLE, first, seconds=60)
    leader.renew(engine, ROLE, second, seconds=60)
    engine.dispose()


def test_days_whose_arrivals_are_not_counted_are_found(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    store(engine, entries(invent(Random(5), 60)))
    with engine.begin() as connection:
        ids = sorted(connection.scalars(select(articles.c.id)))
        today = date(2020, 5, 20)
        for number, id_ in enumerate(ids):
            seen = datetime(2020, 5, (3, 3, 9, 20, 21)[number % 5], number % 24, tzinfo=UTC)
            connection.execute(update(articles).where(articles.c.id == id_).values(first_seen_at=seen))
        first = date(2020, 5, 1)
        assert day_frequencies.uncounted_days(connection, first, today, set()) == [date(2020, 5, 3), date(2020, 5, 9)]
        assert day_frequencies.uncounted_days(connection, first, today, {date(2020, 5, 9)}) == [date(2020, 5, 3)]
        assert day_frequencies.uncounted_days(connection, date(2020, 5, 4), today, set()) == [date(2020, 5, 9)]
        assert day_frequencies.uncounted_days(connection, first, date(2020, 5, 3), set()) == []


def test_days_that_were_counted_with_other_words_are_counted_again(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    store(engine, entries(invent(Random(7), 30)))
    today = datetime.now(UTC).date()
    lease = Lease(engine, leader.acquire(engine, ROLE, "test", seconds=LEASE_SECONDS))
    with engine.begin() as connection:
        connection.execute(articles.update().values(first_seen_at=datetime.now(UTC) - timedelta(days=1)))
        connection.execute(
            document_frequencies.insert().values(day=today - timedelta(days=1), documents=1, counts=zlib.compress(b""))
        )
        connection.execute(
            document_frequencies.insert().values(day=today - timedelta(days=2), documents=1, counts=zlib.compress(b""))
        )
    basis = open_day(engine, lease, today)
    assert basis.completed.documents == 30, "a day without arrivals counts nothing"
    again = open_day(engine, lease, today)
    assert (again.completed.counts == basis.completed.counts).all()
    engine.dispose()


@SQLITE_BY_DEFAULT
def test_articles_that_wait_in_large_numbers_end_with_the_same_links(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    store(engine, entries(invent(Random(9), 700)))
    linker = new_linker(engine)
    assert linker.step() == 300
    assert in_state(engine, "provisional") == 300
    settle(linker)
    waited = found(engine)
    begin_anew(engine)
    finish(new_linker(engine))
    assert waited == found(engine)
    assert len(waited["links"]) > 100
