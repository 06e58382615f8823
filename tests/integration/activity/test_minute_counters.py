"""The counters by minute against a real server: counts are read back whatever the names of crawlers are."""

from __future__ import annotations

from collections import Counter

import pytest

from worker.activity.hour_maxima import keep_maxima
from worker.activity.minute_counters import OTHER, Counts, MinuteCounters, total


def batch(lane="documents", **outcomes):
    return Counts(lane, Counter({("crawler", name): count for name, count in outcomes.items()}), work_ms=12.4)


def test_counts_are_read_by_lane_source_and_outcome(redis_client):
    counter = MinuteCounters(redis_client)
    counts = batch(stored=3, rejected=2)
    counts.codes["crawler", "utf16"] = 2
    counter.add(counts)
    counter.add(batch(stored=1))
    found = total(counter.window(2))
    assert found.outcomes == {("documents", "crawler", "stored"): 4, ("documents", "crawler", "rejected"): 2}
    assert found.codes == {("documents", "crawler", "utf16"): 2}
    assert (found.batches["documents"], found.work_ms["documents"]) == (2, 24)
    assert found.documents("documents") == 6 == found.documents()
    assert found.documents("other") == 0


def test_a_window_has_a_row_for_each_minute(redis_client):
    rows = MinuteCounters(redis_client).window(3, now=600.0)
    assert [row.at for row in rows] == [480, 540, 600]
    assert all(row.documents() == 0 for row in rows)


def test_the_submissions_of_a_minute_are_the_difference_of_two_samples(redis_client):
    counter = MinuteCounters(redis_client)
    counter.sample({"documents": 10})
    counter.sample({"documents": 25})
    assert total(counter.window(1)).added == {"documents": 25}


def test_hostile_names_are_counted_and_take_bounded_memory(redis_client):
    counter = MinuteCounters(redis_client)
    for start in range(0, 3000, 100):
        outcomes = Counter({(f"{n}\x1f" + "x" * 5000, "stored"): 1 for n in range(start, start + 100)})
        counter.add(Counts("documents", outcomes))
    (key,) = [key for key in redis_client.keys("copydesk:tally:*") if redis_client.hlen(key) > 100]
    assert redis_client.hlen(key) <= 502
    assert redis_client.memory_usage(key) < 200_000
    found = total(counter.window(2))
    assert found.documents() == 3000
    assert found.outcomes["documents", OTHER, "stored"] >= 2000


def test_minutes_expire_after_their_retention(redis_client):
    MinuteCounters(redis_client).add(batch(stored=1))
    (key,) = redis_client.keys("copydesk:tally:*")
    assert 24 * 3600 < redis_client.ttl(key) <= 25 * 3600


def test_a_failure_of_the_counters_never_fails_a_batch(valkey):
    with valkey.client() as client:
        client.connection_pool.connection_kwargs["path"] = "/nowhere"
        client.connection_pool.disconnect()
        MinuteCounters(client).add(batch(stored=1))


def test_the_minute_is_that_of_the_servers_clock(redis_client, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 86_400.0)
    counter = MinuteCounters(redis_client)
    counter.add(batch(stored=3))
    counter.sample({"documents": 10})
    minute = redis_client.time()[0] // 60
    (key,) = redis_client.keys("copydesk:tally:*")
    assert int(key.rpartition(b":")[2]) in (minute - 1, minute)
    assert total(counter.window(2)).documents() == 3


def test_an_hour_has_the_times_of_its_batches_and_no_sources(redis_client):
    counters = MinuteCounters(redis_client)
    counts = Counts(
        "documents", Counter({("a", "stored"): 3, ("b", "rejected"): 1}), stages_ms={"read": 12.0}, waits=[0.2] * 4
    )
    counters.add(counts)
    counters.add(counts)
    *before, hour = counters.hours(3)
    assert hour.outcomes == {("documents", "", "stored"): 6, ("documents", "", "rejected"): 2}
    assert (hour.batches["documents"], hour.stages_ms["documents", "read"], hour.waits["documents", 1]) == (2, 24, 8)
    assert [one.documents() for one in before] == [0, 0]


def test_the_highest_sample_of_a_minute_is_kept(redis_client):
    counters = MinuteCounters(redis_client)
    for waiting in (5, 1832, 0):
        counters.sample({"documents": 10}, waiting={"documents": waiting})
    assert max(minute.peaks.get("documents", 0) for minute in counters.window(2)) == 1832


def test_an_hour_keeps_the_highest_of_each_maximum(redis_client):
    counters, now = MinuteCounters(redis_client), redis_client.time()[0]
    for value in (2.5, 900.125, 7.0):
        keep_maxima(redis_client, now, {("batch", "documents:urgent", "turn"): value})
    (hour,) = counters.hours(1)
    assert hour.maxima == {("batch", "documents:urgent", "turn"): pytest.approx(900, abs=1)}
