"""Rows of the store have the store's time, receipts that of Redis, also where the two clocks differ."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tests.integration.store.histories import Put, Reference, Retract
from tests.integration.store.store_driver import entry, settle, work
from tests.support.runtime_hooks import article
from worker.documents.limits import Limits
from worker.heat_rules import AllRules
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.store.background import article_step, target_step
from worker.store.background.steps import work_step
from worker.store.decide import decision, stored
from worker.store.sql.flights import flights
from worker.store.tables import articles, documents, receipts


@pytest.mark.parametrize("minutes", [-10, 10])
def test_only_receipts_have_the_time_of_redis(engine, minutes):
    def redis_time():
        return datetime.now(UTC) + timedelta(minutes=minutes)

    def is_now(time, *, off=0):
        return abs((time - datetime.now(UTC)).total_seconds() / 60 - off) < 1

    id_ = f"{int(redis_time().timestamp() * 1000)}-0"
    batch = Batch("documents", None, "test", 3, Limits(), clock=redis_time)
    process(engine, batch, [Claimed(id_, 0, 100, {b"raw": article(1).encode(), b"key": b"one"}, truncated=False)], end_attempt=lambda: None)  # fmt: skip
    with engine.connect() as connection:
        assert is_now(connection.scalars(select(receipts.c.settled_at)).one(), off=minutes)
        assert is_now(connection.scalars(select(documents.c.changed_at)).one())
        for article_times in connection.execute(select(articles.c.first_seen_at, articles.c.changed_at)):
            assert all(is_now(time) for time in article_times)


_PUT = Put("s", "k1", "https://site0.example/story", None, (), "A", "x", None, "AAAA", provider="Paper")
_NAMES = [
    replace(_PUT, key=f"n{n}", url=f"https://site4.example/{n}", related=(_PUT.url,), title="ABC"[n]) for n in range(3)
]
_CLAIMS = replace(_PUT, key="c", url="https://site2.example/story", amp=_PUT.url)
_STEPS = {
    "re-enrichment": (article_step, [replace(_PUT, title="News | The Big Ferry"),
                                     Reference("s", "o", ("taxonomy: organization", "name: The Big Ferry", "domain: paper.example"))]),
    "retraction": (article_step, [*(replace(_PUT, key=f"k{n}") for n in range(4)), Retract("s", _PUT.url)]),
    "target": (target_step, [*_NAMES, _CLAIMS, replace(_CLAIMS, amp=None)]),
}  # fmt: skip


def _changed(engine, table):
    with engine.connect() as connection:
        return dict(connection.execute(select(table.c.id, table.c.changed_at)).all())


@pytest.mark.parametrize("kind", _STEPS)
def test_a_step_writes_no_time_before_what_was_committed_while_it_read(engine, monkeypatch, kind):
    """A reader that asks for what changed after the latest time that it saw would miss those rows."""
    monkeypatch.setattr(stored, "MOST_NAMERS", 2)
    monkeypatch.setattr(decision, "STEP_DOCUMENTS", 1)
    module, events = _STEPS[kind]
    for number, event in enumerate(events):
        settle(engine)
        work(engine, "documents", [entry(number, event)])
    before, numbers = {}, iter(range(90, 1000))

    def begin_late(*arguments, **options):
        number = next(numbers)
        work(
            engine, "documents", [entry(number, replace(_PUT, key=f"k{number}", url=f"https://site1.example/{number}"))]
        )
        before.update({table: _changed(engine, table) for table in (articles, documents)})
        return flights(*arguments, **options)

    monkeypatch.setattr(module, "flights", begin_late)
    steps = 0
    while before.clear() or work_step(engine, AllRules()) is not None:
        for table, times in before.items():
            written = {time for id_, time in _changed(engine, table).items() if times.get(id_) != time}
            assert all(time > max(times.values()) for time in written), table.name
            steps += bool(written)
    assert steps, "a step that began late wrote rows"
