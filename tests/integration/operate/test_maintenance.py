"""What nothing needs any more goes after a while; what something needs stays, however old."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from worker.document.limits import Limits
from worker.intake.stream import Claimed
from worker.operate.maintenance import due, prune
from worker.pipeline import Batch, process
from worker.settings import Settings
from worker.store.tables import articles, dead_letters, documents, raw_documents, receipts

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
        process(engine, batch, [entry], innocent=lambda: None)

    return put


@pytest.fixture
def two_days_pass(engine):
    def pass_them():
        before = datetime.now(UTC) - timedelta(days=2)
        with engine.begin() as connection:
            connection.execute(update(raw_documents).values(last_seen_at=before))
            connection.execute(update(receipts).values(settled_at=before))
            connection.execute(update(dead_letters).values(created_at=before))
            connection.execute(update(articles).where(articles.c.orphaned_at.is_not(None)).values(orphaned_at=before))

    return pass_them


def column(engine, what):
    with engine.connect() as connection:
        return list(connection.scalars(select(what)))


def story(title, *, url=None, related=None):
    lines = [f"title: {title}", *([f"webUrl: {url}"] if url else [])]
    if related:
        lines += ["related:", "  - title: other", f"    webUrl: {related}"]
    return "\n".join(["---", *lines, "---", ""])


def test_nothing_recent_goes(engine, put):
    put(story("old"))
    put(story("DM: broken"), key="b")
    put(op="retract")

    assert prune(engine, CONFIG) == 0


def test_only_old_bytes_that_nothing_needs_go(engine, put, two_days_pass):
    put(story("old"))
    put(story("live"))
    put(story("DM: broken"), key="b")
    two_days_pass()

    prune(engine, CONFIG)

    assert set(column(engine, raw_documents.c.bytes)) == {story("live").encode(), story("DM: broken").encode()}


def test_receipts_go_but_for_those_of_open_dead_letters(engine, put, two_days_pass):
    put(story("live"))
    put(story("DM: broken"), key="b")
    two_days_pass()

    prune(engine, CONFIG)

    assert column(engine, receipts.c.key) == ["b"]


def test_a_tombstone_stays_for_ever(engine, put, two_days_pass):
    put(story("live"))
    put(op="retract")
    two_days_pass()

    prune(engine, CONFIG)

    assert column(engine, documents.c.retracted) == [True]


def test_closed_dead_letters_go_and_open_ones_stay(engine, put, two_days_pass):
    put(story("DM: broken"), key="open")
    put(story("DM: broken"), key="closed")
    with engine.begin() as connection:
        connection.execute(update(dead_letters).where(dead_letters.c.key == "closed").values(status="discarded"))
    two_days_pass()

    prune(engine, CONFIG)

    assert column(engine, dead_letters.c.key) == ["open"]


def test_an_orphan_goes_and_a_named_one_stays(engine, put, two_days_pass):
    put(story("gone", url="https://a.example/gone"), key="1")
    put(story("named", url="https://a.example/named"), key="2")
    put(story("names", url="https://a.example/names", related="https://a.example/named"), key="3")
    put(key="1", op="retract")
    put(key="2", op="retract")
    two_days_pass()

    prune(engine, CONFIG)

    assert set(column(engine, articles.c.canonical_url)) == {"https://a.example/named", "https://a.example/names"}


def test_what_would_go_is_counted_before(engine, put, two_days_pass):
    put(story("old"))
    put(story("live"))
    two_days_pass()

    assert due(engine, CONFIG) == {"receipts": 2, "dead letters": 0, "raw documents": 1, "orphans": 0}
