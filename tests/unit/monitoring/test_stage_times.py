"""Where time goes: which stage became slow, and when, and how long documents take."""

from __future__ import annotations

import pytest

from worker.activity.minute_counters import WAIT_BOUNDS, Minute
from worker.monitoring.stage_times import STAGES, intervals_of, maxima_of, quantile, slices, stage_times


def minute(number, *, batches=10, documents=1000, **stages):
    one = Minute(60 * number)
    one.batches["documents"] = batches
    one.outcomes["documents", "crawler", "stored"] = documents
    spent = {"open": 1.0, "recognise": 3.0, "read": 50.0, "prepare": 5.0, "turn": 2.0, "store": 40.0, **stages}
    spent["write"] = spent["prepare"] + spent["turn"] + spent["store"] + stages.get("commit", 8.0)
    for stage, ms in spent.items():
        if stage != "commit":
            one.stages_ms["documents", stage] = round(ms * batches)
    one.waits["documents", 3] = documents
    return one


@pytest.mark.parametrize("stage", list(STAGES))
@pytest.mark.parametrize(("width", "count"), [(1, 60), (15, 1440)])
def test_the_stage_that_became_slow_is_named_with_its_time(stage, width, count):
    slow = range(count // 2, count // 2 + count // 10)
    minutes = [minute(n, **({stage: 400.0} if n in slow else {})) for n in range(count)]

    first, *others = stage_times(slices(minutes, width=width, seconds=60))

    assert first.stage == stage
    assert first.slow.peak == pytest.approx(400, rel=0.01)
    assert abs(first.slow.begin - 60 * slow[0]) <= 60 * width
    assert abs(first.slow.end - 60 * (slow[-1] + 1)) <= 60 * width
    assert not first.slow.is_now
    assert [one.stage for one in others if one.slow] == []


def test_a_stage_that_is_slow_until_now_is_said_to_be():
    minutes = [minute(n, **({"store": 300.0} if n >= 50 else {})) for n in range(60)]
    first, *_ = stage_times(slices(minutes, width=1, seconds=60))
    assert (first.stage, first.slow.is_now, first.slow.begin) == ("store", True, 3000)


def test_batches_that_differ_in_size_only_are_not_slow():
    """A document costs more in a small batch, and a large batch takes longer."""
    minutes = []
    for n in range(60):
        size = 200 if 20 <= n < 40 else 2
        minutes.append(minute(n, documents=10 * size, read=5 + size / 4, store=6 + size / 5))
    assert [one.stage for one in stage_times(slices(minutes, width=1, seconds=60)) if one.slow] == []


def test_one_minute_in_which_documents_waited_is_as_high_over_the_day_as_over_the_hour():
    minutes = [minute(n) for n in range(1440)]
    minutes[1400].waits.clear()
    minutes[1400].waits["documents", WAIT_BOUNDS.index(60)] = 10
    for width, count in ((1, 60), (15, 1440)):
        waits = [one.waits for one in slices(minutes[-count:], width=width, seconds=60)]
        assert max(most for _, most in waits) > 59
        assert max(half for half, _ in waits) > 30


@pytest.mark.parametrize("lane", [None, "documents"])
def test_one_slow_minute_is_as_high_over_the_week(lane):
    """An hour sums up its minutes, and keeps the maxima of each."""
    hours = [minute(60 * n, batches=600, documents=60_000) for n in range(168)]
    slow = minute(60 * 100 + 7, turn=900.0)
    slow.waits.clear()
    slow.waits["documents", WAIT_BOUNDS.index(60)] = 1000
    hours[100].maxima = maxima_of(slow)
    intervals = intervals_of("week", hours, lane)
    shown = {one.stage: one for one in stage_times(intervals)}
    assert shown["turn"].longest == pytest.approx(900)
    assert (shown["turn"].slow.begin, shown["turn"].slow.end) == (3600 * 100 // 60 * 60, 3600 * 100 // 60 * 60 + 7200)
    assert [name for name, one in shown.items() if one.slow] == ["turn"]
    assert max(one.waits[1] for one in intervals) > 59


def test_the_maxima_of_a_lane_are_its_own():
    both = minute(5, turn=900.0)
    both.batches["quick"], both.outcomes["quick", "crawler", "stored"] = 10, 1000
    both.stages_ms["quick", "turn"] = 10
    kept = maxima_of(both)
    assert kept["batch", "documents", "turn"] == pytest.approx(900)
    assert kept["batch", "quick", "turn"] == pytest.approx(1)
    assert kept["batch", "", "turn"] == pytest.approx(450, rel=0.01)


def test_one_slow_minute_is_as_high_over_the_day_as_over_the_hour():
    minutes = [minute(n, **({"turn": 900.0} if n == 1400 else {})) for n in range(1440)]
    for width, count in ((1, 60), (15, 1440)):
        shown = {one.stage: one.longest for one in stage_times(slices(minutes[-count:], width=width, seconds=60))}
        assert shown["turn"] == pytest.approx(900)


def test_minutes_without_work_have_no_times():
    assert stage_times(slices([Minute(60 * n) for n in range(60)], width=1, seconds=60)) == []
    minutes = [Minute(60 * n) for n in range(30)] + [minute(30)]
    (one,) = [part for part in slices(minutes, width=1, seconds=60) if part.waits]
    assert one.waits[0] < one.waits[1] <= WAIT_BOUNDS[3]


def test_quantiles_are_interpolated_and_bounded():
    counts = [0] * (len(WAIT_BOUNDS) + 1)
    assert quantile(counts, 0.5) == 0
    counts[3] = 100
    assert WAIT_BOUNDS[2] < quantile(counts, 0.5) < WAIT_BOUNDS[3]
    counts[-1] = 100
    assert quantile(counts, 0.99) == WAIT_BOUNDS[-1]


def test_the_stage_that_is_slow_now_and_lost_most_comes_first():
    minutes = [minute(n) for n in range(60)]
    minutes[5] = minute(5, read=900.0)
    minutes[58:] = [minute(n, prepare=400.0, commit=300.0) for n in (58, 59)]
    slow = [one.stage for one in stage_times(slices(minutes, width=1, seconds=60)) if one.slow]
    assert slow == ["prepare", "commit", "read"]
