"""Counters that only grow, although the minutes they are computed from expire."""

from collections import Counter

from worker.activity.minute_counters import OTHER, Minute
from worker.monitoring.exporter import Growth

NAME = "copydesk_documents_total"


def minute(number, **counts):
    return Minute(number * 60, outcomes=Counter({("documents", source, "stored"): n for source, n in counts.items()}))


def test_a_minute_that_grows_is_counted_once():
    growth = Growth()
    growth.take([minute(1, a=3)])
    growth.take([minute(1, a=5), minute(2, a=1)])

    assert growth.totals[NAME] == {("documents", "a", "stored"): 6}


def test_an_expired_minute_stays_counted():
    growth = Growth()
    growth.take([minute(1, a=3)])
    growth.take([minute(2, a=1)])

    assert growth.totals[NAME] == {("documents", "a", "stored"): 4}


def test_sources_beyond_the_limit_are_counted_together():
    growth = Growth()
    growth.take([minute(1, **{f"s{n}": 1 for n in range(1500)})])

    assert len(growth.totals[NAME]) == 1001
    assert growth.totals[NAME]["documents", OTHER, "stored"] == 500
