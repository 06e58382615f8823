"""The minutes of the last day, read again and again: what is summed up once has the same sums as all minutes."""

from __future__ import annotations

import time

from worker.activity.minute_counters import Counts, MinuteCounters
from worker.monitoring.rates import flow
from worker.monitoring.snapshot import MinuteCache


def test_the_sums_of_the_day_are_those_of_its_minutes_at_each_read(redis_client):
    counters, cache = MinuteCounters(redis_client), MinuteCache(redis_client)
    now = time.time()
    settled = []
    for later in (0, 1, 2, 60, 61, 180, 1400 * 60, 1450 * 60):
        counts = Counts("documents")
        counts.outcomes["crawler", "stored"] = 7
        counts.outcomes["other", "rejected"] = 2
        counters.add(counts)
        minutes = cache.read(now + later)
        day, all_minutes = (flow(part, minutes[0], seconds=86_400) for part in (cache.day(), minutes[-1440:]))
        assert day == all_minutes
        settled.append(day.settled)
    assert settled[:3] == [9, 18, 27], "the newest minutes are read again"
    assert settled[-1] == 0, "a day later they do not count any more"
