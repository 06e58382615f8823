"""Rows that nothing needs are deleted after a while; rows that something needs stay, however old."""

import itertools
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, delete, insert, select, text, update

from worker.documents.limits import Limits
from worker.jobs.retention import RETENTION_RULES, count_expired, prune
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store import dead_letters as dead
from worker.store.decide.change_set import TARGET
from worker.store.engine import enter_writer, without_statement_timeout, writer
from worker.store.tables import (
    article_topics,
    article_urls,
    articles,
    dead_letter_actions,
    dead_letters,
    documents,
    images,
    links,
    providers,
    raw_documents,
    receipts,
    stories,
    topics,
    url_work,
)

CONFIG = Settings(raw_days=1, receipt_days=1, orphan_days=1)


@pytest.fixture
def put(engine):
    number = 0

    def put(raw="", *, key="k", op="put"):
        nonlocal number
        number += 1
        fields = {b"raw": raw.encode(), b"key": key.encode(), b"op": op.encode()}
        entry = Claimed(f"{1_700_000_000_000 + number}-0", 0, len(raw), fields, truncated=False)
        batch = Batch("documents", None, "test", 3, Limits())
        process(engine, batch, [entry], end_attempt=lambda: None)

    return put


@pytest.fixture
def two_days_pass(engine):
    def pass_them():
        before = datetime.now(UTC) - timedelta(days=2)
        with engine.begin() as connection:
            connection.execute(update(raw_documents).values(last_seen_at=before))
            connection.execute(update(receipts).values(settled_at=before))
            connection.execute(update(dead_letters).values(created_at=before))
            connection.execute(update(dead_letter_actions).values(at=before))
            connection.execute(update(articles).where(articles.c.orphaned_at.is_not(None)).values(orphaned_at=before))

    return pass_them


DAYS = (740_000, 1_000_000, 1e9, 1e300)
RULES = ("raw_days", "receipt_days", "orphan_days", "story_days")
TRIED = set(zip(RULES, DAYS, strict=True))
"""Each rule and each number once; the long form tries all pairs."""


@pytest.mark.parametrize(
    ("name", "days"),
    [pytest.param(*pair, marks=[pytest.mark.long] * (pair not in TRIED)) for pair in itertools.product(RULES, DAYS)],
)
def test_more_days_than_the_calendar_has_mean_never_and_the_other_rules_are_applied(
    engine, put, two_days_pass, name, days
):
    put(story("One"))
    put(story("Two"))
    two_days_pass()
    config = CONFIG.model_copy(update={name: days})
    counted = count_expired(engine, config)
    assert prune(engine, config).resume is None
    kept = {"raw_days": (raw_documents.c.sha256, 2), "receipt_days": (receipts.c.id, 2)}
    for setting, (what, count) in kept.items():
        assert len(column(engine, what)) == (count if name == setting else count - 1 if setting == "raw_days" else 0)
    assert set(counted) == {rule.name for rule in RETENTION_RULES}


def column(engine, what):
    with engine.connect() as connection:
        return list(connection.scalars(select(what)))


def column_pairs(engine, *what):
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*what))]


def story(title, *, url=None, related=None):
    lines = [f"title: {title}", *([f"webUrl: {url}"] if url else [])]
    if related:
        lines += ["related:", "  - title: other", f"    webUrl: {related}"]
    return "\n".join(["---", *lines, "---", ""])


def test_nothing_recent_is_deleted(engine, put):
    put(story("old"))
    put(story("DM: broken"), key="b")
    put(op="retract")

    assert prune(engine, CONFIG).rows == 0


def test_only_old_bytes_that_nothing_needs_are_deleted(engine, put, two_days_pass):
    put(story("old"))
    put(story("live"))
    put(story("DM: broken"), key="b")
    two_days_pass()

    prune(engine, CONFIG)

    assert set(column(engine, raw_documents.c.bytes)) == {story("live").encode(), story("DM: broken").encode()}


def test_receipts_are_deleted_except_those_of_open_dead_letters(engine, put, two_days_pass):
    put(story("live"))
    put(story("DM: broken"), key="b")
    two_days_pass()

    prune(engine, CONFIG)

    assert column(engine, receipts.c.key) == ["b"]


def test_a_tombstone_is_never_deleted(engine, put, two_days_pass):
    put(story("live"))
    put(op="retract")
    two_days_pass()

    prune(engine, CONFIG)

    assert column(engine, documents.c.retracted) == [True]


def test_closed_dead_letters_are_deleted_and_open_ones_stay(engine, put, two_days_pass):
    put(story("DM: broken"), key="open")
    put(story("DM: broken"), key="closed")
    with engine.begin() as connection:
        connection.execute(update(dead_letters).where(dead_letters.c.key == "closed").values(status="discarded"))
    two_days_pass()

    prune(engine, CONFIG)

    assert column(engine, dead_letters.c.key) == ["open"]


def test_an_orphan_is_deleted_and_a_named_one_stays(engine, put, two_days_pass):
    put(story("gone", url="https://a.example/gone"), key="1")
    put(story("named", url="https://a.example/named"), key="2")
    put(story("names", url="https://a.example/names", related="https://a.example/named"), key="3")
    put(key="1", op="retract")
    put(key="2", op="retract")
    two_days_pass()

    prune(engine, CONFIG)

    assert set(column(engine, articles.c.canonical_url)) == {"https://a.example/named", "https://a.example/names"}


def test_an_orphan_stays_while_links_to_a_url_are_pointed_to_another_article(engine, put, two_days_pass):
    put(story("gone", url="https://a.example/gone"), key="1")
    put(key="1", op="retract")
    put(story("newest", url="https://a.example/newest"), key="2")
    two_days_pass()
    work = {"kind": TARGET, "url_hash": b"x" * 16, "cursor": 1, "started": 1, "version": 1}
    with engine.begin() as connection:
        connection.execute(insert(url_work).values(**work, since=datetime.now(UTC)))
    prune(engine, CONFIG)
    assert sorted(column(engine, articles.c.canonical_url)) == ["https://a.example/gone", "https://a.example/newest"]

    with engine.begin() as connection:
        connection.execute(delete(url_work))
    prune(engine, CONFIG)
    assert sorted(column(engine, articles.c.canonical_url)) == ["https://a.example/newest"]


def test_an_article_is_deleted_with_all_its_rows(engine, put, two_days_pass):
    put(story("gone", url="https://a.example/gone"), key="1")
    put(story("stays", url="https://a.example/stays"), key="2")
    put(key="1", op="retract")
    ids = dict(column_pairs(engine, articles.c.canonical_url, articles.c.id))
    gone = ids["https://a.example/gone"]
    with engine.begin() as connection:
        connection.execute(insert(links).values(source_id=gone, kind="similar", target_hash=b"x" * 16))
        connection.execute(insert(images).values(article_id=gone, rank=7, url="https://a.example/1.jpg"))
        connection.execute(insert(article_urls).values(article_id=gone, claim="amp", url_hash=b"y" * 16, url="u"))
        connection.execute(insert(article_topics).values(article_id=gone, topic_id=1, rank=0, origin="stated"))
    two_days_pass()

    prune(engine, CONFIG)

    assert column(engine, articles.c.canonical_url) == ["https://a.example/stays"]
    for child in (links.c.source_id, images.c.article_id, article_urls.c.article_id, article_topics.c.article_id):
        assert gone not in column(engine, child)


def test_a_dry_run_counts_what_is_then_deleted(engine, put, two_days_pass):
    put(story("old"))
    put(story("live"))
    two_days_pass()

    assert count_expired(engine, CONFIG) == {
        "actions": 0,
        "receipts": 2,
        "dead letters": 0,
        "raw documents": 1,
        "orphans": 0,
        "providers": 0,
        "topics": 0,
        "stories": 0,
    }


def test_a_stub_that_nobody_names_any_more_is_deleted(engine, put, two_days_pass):
    put(story("names", url="https://a.example/names", related="https://a.example/stub"))
    put(story("names", url="https://a.example/names"))
    put(story("newest", url="https://a.example/newest"), key="2")
    two_days_pass()

    prune(engine, CONFIG)

    assert set(column(engine, articles.c.canonical_url)) == {"https://a.example/names", "https://a.example/newest"}


def test_the_id_of_a_deleted_article_is_never_given_to_another(engine, put, two_days_pass):
    """Old receipts name articles by their id."""
    ids = {}
    for number in range(4):
        url = f"https://a.example/{number}"
        put(story("gone", url=url), key=str(number))
        ids[url] = max(column(engine, articles.c.id))
        put(key=str(number), op="retract")
        two_days_pass()
        prune(engine, Settings(orphan_days=1))
    assert len(set(ids.values())) == 4
    put(story("the last", url="https://a.example/last"), key="last")
    prune(engine, Settings(orphan_days=1))
    assert column(engine, articles.c.canonical_url) == ["https://a.example/last"], "only the newest orphan had stayed"


def test_an_orphan_stays_until_the_linker_has_removed_it_from_its_story(engine, put, two_days_pass):
    put(story("gone", url="https://a.example/gone"), key="1")
    with engine.begin() as connection:
        id_ = connection.execute(insert(stories).values(size=2).returning(stories.c.id)).scalar_one()
        connection.execute(update(articles).values(story_id=id_))
    put(key="1", op="retract")
    two_days_pass()

    prune(engine, CONFIG)

    assert column(engine, articles.c.story_id) == [id_]


def test_a_recently_closed_dead_letter_stays(engine, put, two_days_pass):
    put(story("DM: broken"), key="b")
    two_days_pass()
    with engine.begin() as connection:
        dead.discard(connection, connection.scalar(select(dead_letters.c.id)), "operator", "not ours")

    prune(engine, CONFIG)

    assert column(engine, dead_letters.c.status) == ["discarded"]


def test_bytes_of_an_edited_dead_letter_count_as_seen_now(engine, put, two_days_pass):
    put(story("old"))
    put(story("live"))
    put(story("DM: broken"), key="b")
    two_days_pass()
    with engine.begin() as connection:
        assert dead.keep_edit(connection, dead.find(connection, dead.Filter())[0], story("old").encode(), "operator")
        connection.execute(update(dead_letters).values(status="discarded"))

    prune(engine, CONFIG)

    assert story("old").encode() in column(engine, raw_documents.c.bytes)


@pytest.fixture
def two_stories(engine, put):
    """Two stories of two articles each; the second story is still young."""
    for n in range(4):
        put(story(f"title {n}", url=f"https://a.example/{n}"), key=str(n))
    old = datetime.now(UTC) - timedelta(days=40)
    with engine.begin() as connection:
        ids = connection.execute(select(articles.c.id, articles.c.url_hash).order_by(articles.c.canonical_url)).all()
        for first, changed in ((0, old), (2, datetime.now(UTC))):
            values = {"size": 2, "first_id": ids[first].id, "lead_id": ids[first].id, "first_at": old, "last_at": old}
            values |= {"changed_at": changed, "announced_at": changed}
            id_ = connection.execute(insert(stories).values(values).returning(stories.c.id)).scalar_one()
            pair = ids[first : first + 2]
            connection.execute(update(articles).where(articles.c.id.in_([row.id for row in pair])).values(story_id=id_))
            for one, other in (pair, pair[::-1]):
                tie = {"source_id": one.id, "kind": "similar", "target_hash": other.url_hash, "target_id": other.id}
                connection.execute(insert(links).values(tie))


def test_stories_are_never_deleted_without_the_setting(engine, two_stories):
    assert prune(engine, CONFIG).rows == 0


def test_an_old_story_is_deleted_and_its_articles_stay(engine, two_stories):
    prune(engine, Settings(story_days=30))

    with engine.connect() as connection:
        found = connection.execute(
            select(stories.c.size, stories.c.announced_at.is_(None)).order_by(stories.c.id)
        ).all()
        assert [tuple(row) for row in found] == [(0, True), (2, False)], (
            "the change feed is to tell that the first ended"
        )
        story_ids = connection.execute(select(articles.c.story_id).order_by(articles.c.canonical_url)).scalars().all()
        assert story_ids[:2] == [None, None]
        assert None not in story_ids[2:]
        assert len(connection.execute(select(links)).all()) == 2


def test_pruning_resumes_where_its_time_ran_out(engine, put, two_days_pass, monkeypatch):
    monkeypatch.setattr("worker.jobs.retention._PAGE", 3)
    put(story("gone", url="https://a.example/gone"), key="1")
    put(key="1", op="retract")
    for n in range(10):
        put(story(f"version {n}"))
    for n in range(4):
        put(story(f"DM: broken {n}"), key=f"b{n}")
    two_days_pass()
    waiting = count_expired(engine, CONFIG)
    assert waiting == {
        "actions": 0,
        "receipts": 12,
        "dead letters": 0,
        "raw documents": 10,
        "orphans": 1,
        "providers": 1,
        "topics": 0,
        "stories": 0,
    }

    gone, steps = 0, 0
    done = prune(engine, CONFIG, seconds=0)
    while done.resume is not None:
        gone, steps = gone + done.rows, steps + 1
        done = prune(engine, CONFIG, seconds=0, resume=done.resume)

    assert gone + done.rows == sum(waiting.values())
    assert steps > 5, "in more than one part"
    assert sum(count_expired(engine, CONFIG).values()) == 0


@pytest.mark.parametrize("resume", ["", "[]", "5", '["receipts"]', '["articles", "2020-01-01", 1]', '["orphans", "x", 1]',
                                    '["raw documents", "2020-01-01", "no hex"]'])  # fmt: skip
def test_an_invalid_place_to_resume_is_refused(resume):
    with pytest.raises(ValueError, match="no position that `prune` returned"):
        prune(create_engine("sqlite://"), CONFIG, resume=resume)


def test_bytes_that_a_batch_stores_again_are_kept_without_a_deadlock(engine, put, two_days_pass):
    """A batch locks its raw bytes, then waits for the writer lock; maintenance holds the writer lock and must not wait
    for the bytes.
    """
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite's writers exclude each other from their first statement on")
    for title in ("old", "older", "live"):
        put(story(title))
    two_days_pass()
    done = threading.Event()
    with writer(engine) as batch, batch.begin():
        again = raw_documents.c.bytes == story("old").encode()
        batch.execute(update(raw_documents).where(again).values(last_seen_at=datetime.now(UTC)))
        thread = threading.Thread(target=lambda: (prune(engine, CONFIG), done.set()))
        thread.start()
        assert done.wait(timeout=8), "maintenance does not wait for the batch"
        enter_writer(batch)
    thread.join()

    assert set(column(engine, raw_documents.c.bytes)) == {story("live").encode(), story("old").encode()}


def test_checks_and_upgrades_have_no_statement_timeout(engine):
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no time limit of a statement")
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "10s"
        lock_timeout = connection.scalar(text("SHOW lock_timeout"))
        with connection.begin_nested():
            without_statement_timeout(connection)
            assert connection.scalar(text("SHOW statement_timeout")) == "0"
            assert connection.scalar(text("SHOW lock_timeout")) == lock_timeout != "0"


def test_providers_and_topics_that_nothing_names_are_deleted(engine, put):
    def tagged(host, topic):
        return f"---\ntitle: T\nwebUrl: https://{host}/1\ntopics: [{topic}]\n---\n"

    put(tagged("a.example", "Ferries"), key="1")
    put(tagged("b.example", "Bridges"), key="2")
    put("---\ntaxonomy: organization\nname: C\ndomain: c.example\n---\n", key="3")
    put("---\ntaxonomy: topic\nname: Boats\nparent: Ships\n---\n", key="4")
    assert prune(engine, CONFIG).rows == 0

    put(tagged("b.example", "Bridges"), key="1")
    assert count_expired(engine, CONFIG)["providers"] == count_expired(engine, CONFIG)["topics"] == 1
    assert prune(engine, CONFIG).rows == 2
    assert sorted(column(engine, providers.c.domain)) == ["b.example", "c.example"]
    assert sorted(column(engine, topics.c.slug)) == ["boats", "bridges", "ships"]

    put(key="4", op="retract")
    put(key="3", op="retract")
    prune(engine, CONFIG)
    assert column(engine, providers.c.domain) == ["b.example"]
    assert column(engine, topics.c.slug) == ["bridges"]
