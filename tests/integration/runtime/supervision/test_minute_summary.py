"""The log line of each minute, on a real server: one of all workers writes it, and only if something happened."""

from __future__ import annotations

from collections import Counter

import pytest
from structlog.testing import capture_logs

from worker.activity.minute_counters import Counts, MinuteCounters
from worker.queue.lease_queue import LeaseQueue
from worker.runtime.supervision import minute_summary
from worker.telemetry.logs import FIELDS

MINUTE = 29_000_000 * 60.0
"""The start of a minute."""


@pytest.fixture
def at(redis_client):
    """`at(seconds, added, **outcomes)` counts a batch so many seconds after MINUTE."""
    counters = MinuteCounters(redis_client)

    def count(seconds, added, **outcomes):
        if outcomes:
            counts = Counter({("crawler", name): number for name, number in outcomes.items()})
            codes = Counter({("crawler", "no_title"): outcomes["rejected"]} if "rejected" in outcomes else {})
            counters.add(Counts("documents", counts, codes))
        counters.sample({"documents": added})
        # The server decides the minute: its counts are moved to the intended one.
        meant = f"copydesk:tally:{int(MINUTE + seconds) // 60}"
        for key in redis_client.keys("copydesk:tally:*"):
            if int(key.rpartition(b":")[2]) > MINUTE // 60 + 1000:
                redis_client.hset(meant, mapping=redis_client.hgetall(key))
                redis_client.delete(key)

    return count


def summaries(client, seconds):
    with capture_logs() as lines:
        minute_summary.log_minute(client, ["documents", "none"], now=MINUTE + seconds)
    return lines


def test_a_minute_is_logged_once_by_one_of_all_workers(redis_client, at):
    at(10, 100)
    at(70, 160, stored=30, rejected=6)
    LeaseQueue(redis_client, "documents").ensure()
    redis_client.xadd("documents", {"raw": "x"}, id=f"{int(MINUTE + 83) * 1000}-0")
    (line,) = summaries(redis_client, 123)
    assert line["event"] == "The last minute"
    assert (line["added"], line["settled"], line["rate"]) == (60, 36, 0.6)
    assert line["outcomes"] == {"stored": 30, "rejected": 6}
    assert line["rejected"] == {"no_title from crawler": 6}
    assert (line["backlog"], line["oldest_seconds"]) == ({"documents": 1}, 40.0)
    assert set(line) - {"log_level"} <= set(FIELDS)
    assert summaries(redis_client, 125) == []


def test_idle_minutes_are_silent_after_one_line(redis_client, at):
    at(10, 100)
    at(70, 160, stored=60)
    for minute in range(2, 6):
        at(minute * 60 + 10, 160)
    assert [len(summaries(redis_client, (minute + 1) * 60 + 3)) for minute in range(1, 6)] == [1, 1, 0, 0, 0]


def test_a_backlog_without_progress_is_logged_each_minute(redis_client):
    LeaseQueue(redis_client, "documents").ensure()
    redis_client.xadd("documents", {"raw": "x"})
    (first,), (second,) = summaries(redis_client, 63), summaries(redis_client, 123)
    assert first["settled"] == second["settled"] == 0
    assert first["backlog"] == {"documents": 1}


def test_the_hour_keeps_the_maxima_of_its_minutes(redis_client, at):
    at(10, 100)
    at(70, 160, stored=30, rejected=6)
    at(130, 170, stored=3)
    for seconds in (123, 183):
        summaries(redis_client, seconds)
    kept = redis_client.hgetall(f"copydesk:hours:{int(MINUTE) // 3600}")
    counts = {name.decode().split("\x1f")[-1]: float(value) for name, value in kept.items() if b"count" in name}
    assert counts == {"settled": 36, "rejected": 6}
    assert redis_client.ttl(f"copydesk:hours:{int(MINUTE) // 3600}") > 7 * 86_400
