"""Entries with an invalid source never pause the crawlers of their lane that give none."""

from __future__ import annotations

import pytest

from tests.support.runtime_hooks import article
from worker.activity.minute_counters import OTHER, MinuteCounters, total
from worker.runtime import tasks
from worker.runtime.supervision.circuit_breaker import trip
from worker.settings import Settings


def process(queue, entries):
    for fields in entries:
        queue.client.xadd("documents", fields)
    ids = [id_ for id_, _ in queue.dispatch(limit=200, pending_cap=200, max_bytes=1 << 20).entries]
    tasks.ingest("documents", ids)
    return trip(MinuteCounters(queue.client).window(2), "documents", Settings(breaker_documents=20))


@pytest.mark.parametrize("source", [b"flood\x1f", b"\xff", b"x" * 201])
def test_they_pause_the_lane_if_they_are_most_of_it_and_no_source(own_worker, source):
    paused = process(own_worker, [{"raw": article(n), "source": source} for n in range(30)])
    assert (paused is not None, paused.sources) == (True, ())


def test_a_source_that_calls_itself_like_them_is_counted_apart(own_worker):
    entries = [{"raw": article(1), "source": b"\xff"}, {"raw": article(2), "source": OTHER, "key": "2"}]
    process(own_worker, entries)
    counted = total(MinuteCounters(own_worker.client).window(2)).outcomes
    assert counted == {("documents", OTHER, "rejected"): 1, ("documents", f"{OTHER}…", "stored"): 1}


def test_a_few_of_them_pause_nothing(own_worker):
    bad = [{"raw": article(n), "source": b"flood\x1f"} for n in range(10)]
    assert process(own_worker, [*bad, *({"raw": article(n), "key": str(n)} for n in range(20))]) is None


def test_a_crawler_without_a_source_is_paused_for_its_own_documents(own_worker):
    good = [{"raw": article(n), "source": "good"} for n in range(10)]
    paused = process(own_worker, [*good, *({"raw": "nothing", "key": str(n)} for n in range(20))])
    assert paused is not None
    assert paused.sources == ("documents",)
