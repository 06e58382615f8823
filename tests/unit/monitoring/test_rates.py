"""Rates computed from the counters by minute."""

from __future__ import annotations

from collections import Counter

import pytest

from worker.activity.minute_counters import Minute
from worker.monitoring.rates import drain_seconds, flow, hour_intervals, intervals, maxima_of, top
from worker.settings import INTERNAL_LANE


def minute(at, added=None, **outcomes):
    return Minute(
        at,
        outcomes=Counter({("documents", "crawler", name): count for name, count in outcomes.items()}),
        added=added or {},
    )


def test_submissions_are_the_growth_of_the_counters():
    before, last = minute(0, {"documents": 100, "bulk": 5}), minute(60, {"documents": 160, "bulk": 5}, stored=30)
    found = flow([last], before, seconds=60)
    assert (found.added, found.settled, found.rate) == (60, 30, 0.5)
    assert flow([last], before, seconds=60, lane="bulk").added == 0


def test_without_an_earlier_sample_settled_entries_count_as_submissions():
    assert flow([minute(60, {"documents": 9}, stored=7)], None, seconds=60).added == 7


def test_a_server_that_lost_its_data_added_nothing_rather_than_less():
    assert flow([minute(60, {"documents": 3})], minute(0, {"documents": 900}), seconds=60).added == 0


def test_replays_are_not_counted_as_submissions():
    last = minute(60, stored=1)
    last.outcomes[INTERNAL_LANE, "crawler", "stored"] = 5
    assert flow([last], None, seconds=60).settled == 1
    assert flow([last], None, seconds=60, lane=INTERNAL_LANE).settled == 5


def test_outcomes_are_counted_by_source():
    last = minute(60, stored=2, rejected=1)
    last.outcomes["documents", "other", "stored"] = 4
    last.codes["documents", "crawler", "no_title"] = 1
    found = flow([last], None, seconds=60)
    assert found.by_source == {"crawler": {"stored": 2, "rejected": 1}, "other": {"stored": 4}}
    assert found.rejected == {("no_title", "crawler"): 1}


@pytest.mark.parametrize(("backlog", "rate", "expected"), [(0, 0, 0.0), (100, 10, 10.0), (100, 0, None), (5, -1, None)])
def test_the_time_to_drain_follows_from_backlog_and_rates(backlog, rate, expected):
    assert drain_seconds(backlog, rate) == expected


def test_the_most_frequent_causes_first_and_the_rest_in_sum():
    counts = {("a", "x"): 1, ("b", "x"): 5, ("c", "y"): 1, ("d", "y"): 1}
    assert list(top(counts, 2).items()) == [("b from x", 5), ("a from x", 1), ("others", 2)]
    assert top({}, 2) == {}


def test_past_backlogs_are_computed_back_from_now():
    minutes = [
        minute(0, {"documents": 100}),
        minute(60, {"documents": 160}, stored=20),
        minute(120, {"documents": 160}, stored=30, rejected=5),
    ]
    found = intervals(minutes, width=1, count=2, backlog=5)
    assert [(piece.at, piece.added, piece.settled, piece.backlog) for piece in found] == [
        (60, 60, 20, 40),
        (120, 0, 35, 5),
    ]


def test_intervals_end_now_and_contain_no_replays():
    minutes = [minute(n * 60, {"documents": 100 + n}, stored=1) for n in range(7)]
    minutes[-1].outcomes[INTERNAL_LANE, "crawler", "stored"] = 5
    found = intervals(minutes, width=3, count=10, backlog=0)
    assert [(piece.at, piece.seconds, piece.settled) for piece in found] == [(0, 60, 1), (60, 180, 3), (240, 180, 3)]


def test_a_missing_sample_counts_no_submissions_and_lost_data_subtracts_none():
    minutes = [minute(0, {"documents": 900}), minute(60), minute(120, {"documents": 3}, stored=2)]
    found = intervals(minutes, width=1, count=2, backlog=0)
    assert [(piece.added, piece.backlog) for piece in found] == [(0, 2), (0, 0)]


@pytest.mark.parametrize("width", [1, 5, 15, 60])
def test_a_peak_is_as_high_at_every_zoom(width):
    minutes = [minute(60 * n, {"documents": 100}, stored=5) for n in range(120)]
    minutes[70].outcomes["documents", "crawler", "stored"] = 2999
    minutes[80].outcomes["documents", "crawler", "rejected"] = 40
    minutes[90].peaks["documents"] = 1832

    shown = intervals(minutes, width=width, count=120, backlog=0)

    assert max(one.busiest for one in shown) == 2999
    assert max(one.most_rejected for one in shown) == 40
    assert max(one.longest for one in shown) >= 1832


def test_the_backlog_between_the_ends_of_an_interval_is_seen():
    added = [0, 0, 500, 500, 500]
    minutes = [minute(60 * n, {"documents": 100 + count}) for n, count in enumerate(added)]
    minutes[4].outcomes["documents", "crawler", "stored"] = 500

    (one,) = intervals(minutes[1:], width=4, count=1, backlog=0)

    assert (one.backlog, one.longest) == (0, 500)


def test_what_waited_before_the_first_sample_of_a_worker_is_not_known():
    minutes = [minute(60 * n) for n in range(3)] + [
        minute(180, {"documents": 6000}, stored=100),
        minute(240, {"documents": 6000}),
    ]
    minutes[3].peaks["documents"] = 5900

    found = intervals(minutes, width=1, count=5, backlog=5900)

    assert [one.longest for one in found] == [None, None, None, 5900, 5900]
    assert [one.backlog for one in found] == [None, None, None, 5900, 5900]


def test_what_waits_now_is_known_without_any_sample():
    (*before, last) = intervals([minute(0), minute(60)], width=1, count=2, backlog=7)
    assert (before[0].longest, last.longest) == (None, 7)


def test_a_peak_of_one_minute_is_as_high_over_the_week():
    hours = [minute(3600 * n, stored=300) for n in range(168)]
    peak = minute(3600 * 70 + 600, stored=2999, rejected=40)
    peak.peaks["documents"] = 1832
    hours[70].maxima = maxima_of(peak)

    shown = hour_intervals(hours, width=2, backlog=3)

    assert len(shown) == 84
    assert max(one.busiest for one in shown) == 3039
    assert max(one.most_rejected for one in shown) == 40
    assert [one.longest for one in shown if one.longest is not None] == [1832, 3]
    assert sorted({one.busiest for one in shown}) == [5, 3039], "where no maxima are kept: at least the mean"
