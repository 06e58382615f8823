"""`copydesk db check --repair` mends rows whose right values follow from the rest of the store."""

from random import Random

import pytest
from sqlalchemy import delete, func, insert, select, text, update

from tests.integration.linking.newsroom import entries, finish, found, invent, new_linker, store
from tests.integration.store.histories import Put
from tests.integration.store.snapshot import broken_rules, snapshot
from tests.integration.store.store_driver import entry, settle, work
from worker.cli import app as main
from worker.heat_rules import AllRules
from worker.jobs import reenrichment, store_repair
from worker.jobs.store_repair import Repaired, repair
from worker.settings import settings
from worker.store.tables import article_topics, article_urls, articles, images, links

FIRST, SECOND, NAMER, ALIAS = (f"https://{name}.example/story" for name in ("first", "second", "namer", "alias"))
_HASH = b"x" * 16


def state(engine):
    with engine.connect() as connection:
        return snapshot(connection)


@pytest.fixture
def filled_store(engine):
    """Articles with an alias that another one names, a stub, a collection, and images."""

    def put(key, url, amp=None, related=(), items=()):
        return Put("s", key, url, amp, related, "A", "x", f"{url}.jpg", "AAAA", items=items)

    stub = "https://stub.example/story"
    events = [put("1", FIRST, ALIAS), put("2", SECOND), put("3", NAMER, related=(ALIAS, stub), items=("2",))]
    work(engine, "documents", [entry(number, event) for number, event in enumerate(events)])
    settle(engine)


DAMAGE = {
    "targets gone": (update(links).values(target_id=-1), {"references", "links", "items"}),
    "targets empty": (update(links).values(target_id=None), {"links", "items"}),
    "wrong target": (
        update(links).where(links.c.kind == "related").values(target_id=select(func.min(articles.c.id)).scalar_subquery()),
        {"links"},
    ),
    "links of nothing": (
        insert(links).from_select(
            ("source_id", "kind", "target_hash", "target_id"),
            select(-links.c.source_id, links.c.kind, links.c.target_hash, links.c.target_id),
        ),
        {"references"},
    ),
    "image of nothing": (insert(images).values(article_id=-1, rank=0, url=FIRST), {"references"}),
    "URL of nothing": (
        insert(article_urls).values(article_id=-1, claim="amp", url_hash=_HASH, url=FIRST),
        {"references"},
    ),
    "topic of nothing": (
        insert(article_topics).values(article_id=-1, topic_id=1, rank=0, origin="stated"),
        {"references"},
    ),
    "a topic that is gone": (
        insert(article_topics).from_select(
            ("article_id", "topic_id", "rank", "origin"),
            select(func.min(articles.c.id), -1, 7, text("'stated'")),
        ),
        {"references"},
    ),
    "a stub that lost its namer": (
        insert(articles).values(
            url_hash=_HASH, is_stub=True, extra={}, revision="", link_state="linked",
            first_seen_at=func.now(), changed_at=func.now(),
        ),
        {"stubs"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_kind_of_damage_is_repaired(engine, filled_store, damage, monkeypatch):
    monkeypatch.setattr(store_repair, "_PAGE", 1)
    before = state(engine)
    statement, rules = DAMAGE[damage]
    with engine.begin() as connection:
        connection.execute(statement)
    assert broken_rules(engine) == rules

    repaired = repair(engine, AllRules())

    assert repaired.deleted + repaired.urls > 0
    assert broken_rules(engine) == set()
    after = state(engine)
    if damage != "a stub that lost its namer":  # an orphan now, which retention deletes
        assert after == before
    assert repair(engine, AllRules()) == Repaired(0, 0, 0)


def test_a_repair_ends_although_documents_keep_adding_other_work(engine, filled_store, monkeypatch):
    step = reenrichment.work_step
    monkeypatch.setattr(reenrichment, "work_step", lambda *arguments: step(*arguments) or 1)  # there is always some
    with engine.begin() as connection:
        connection.execute(update(links).values(target_id=None))

    repaired = repair(engine, AllRules())

    assert (repaired.urls > 0, repaired.pending) == (True, 0)
    assert broken_rules(engine) == set()


def test_a_repair_says_what_is_still_pending_when_it_stops_waiting(engine, filled_store, monkeypatch):
    monkeypatch.setattr(store_repair, "_WAIT_SECONDS", 0)
    with engine.begin() as connection:
        connection.execute(update(links).values(target_id=None))

    repaired = repair(engine, AllRules())

    assert repaired.pending == repaired.urls > 0
    assert f"({repaired.pending} of them are still pending: the workers decide them)" in repaired.summary


def test_links_of_the_linker_to_a_deleted_article_go_and_the_others_come_again(engine):
    store(engine, entries(invent(Random(3), 60)))
    linker = new_linker(engine)
    finish(linker)
    before = found(engine)
    similar = (links.c.kind.in_(("similar", "duplicate")), links.c.source_id % 2 == 0)
    with engine.begin() as connection:
        damaged = connection.execute(update(links).where(*similar).values(target_id=-1)).rowcount
    assert damaged > 5
    assert broken_rules(engine) == {"references"}

    assert repair(engine, AllRules()).articles > 1

    assert broken_rules(engine) == set()
    with engine.connect() as connection:
        waiting = select(func.count()).select_from(articles).where(articles.c.link_state == "outdated")
        while connection.scalar(waiting):
            connection.rollback()
            linker.step(force=True)
    after = found(engine)
    assert after == before


def test_the_command_repairs_and_then_checks(engine, filled_store, migrated_store_url, monkeypatch, capsys):
    monkeypatch.setenv("COPYDESK_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    settings.cache_clear()
    with engine.begin() as connection:
        connection.execute(delete(article_urls).where(article_urls.c.url == ALIAS))
        connection.execute(insert(images).values(article_id=-1, rank=0, url=FIRST))

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main.run(["db", "check", *arguments])
        return ended.value.code, capsys.readouterr()

    code, shown = run()
    assert code == 4
    assert "images.article_id -1" in shown.out
    code, shown = run("--repair")
    assert (code, "BROKEN" in shown.out) == (0, False)
    assert "Repaired. rows deleted: 1, URLs decided again: 1, articles to be linked again: 0" in shown.err
    settings.cache_clear()
