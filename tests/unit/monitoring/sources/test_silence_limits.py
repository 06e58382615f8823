"""A silence is an alarm at the deadline, and after false alarms not before the next month."""

import pytest

from worker.monitoring.sources.hours import HOUR, MONTH, Hour
from worker.monitoring.sources.rhythm import learn

DAY = 24 * HOUR
BEGIN = 1_700_438_400
LATE = 300
"""An alarm is due some minutes before the deadline, because roll-ups are up to three minutes apart."""


def hourly(days, *, gaps=(), documents=1):
    """Return the hours of a source that sends `documents` every hour, but for `gaps`: (day, hours)."""
    silent = [(BEGIN + day * DAY, BEGIN + day * DAY + long * HOUR) for day, long in gaps]
    times = [BEGIN + number * HOUR for number in range(days * 24)]
    return [Hour(at, documents, at, at) for at in times if not any(began < at < ended for began, ended in silent)]


def silence(hours, **known):
    """Return after how many seconds the silence that begins now is an alarm."""
    return learn(hours, **known).silent_at(hours[-1].last) - hours[-1].last


@pytest.mark.parametrize("gap", [1, 2, 3, 12, 24, 24 * 9])
def test_a_silence_is_an_alarm_at_the_larger_of_six_hours_and_three_long_gaps(gap):
    hours = [Hour(at, 1, at, at) for at in range(BEGIN, BEGIN + 40 * gap * HOUR, gap * HOUR)]
    deadline = max(6 * HOUR, 3 * gap * HOUR)
    if len(hours) * gap < 60 * 24:
        assert deadline - LATE <= silence(hours) <= deadline
    else:
        assert silence(hours) <= deadline, "earlier, because its past is long"


def test_long_gaps_before_a_source_had_a_rhythm_are_no_habit():
    """At its beginning a source sent once in days; no alarm was possible then."""
    slow = [Hour(at, 1, at, at) for at in range(BEGIN, BEGIN + 20 * DAY, 2 * DAY)]
    fast = [Hour(at, 1, at, at) for at in range(BEGIN + 20 * DAY, BEGIN + 40 * DAY, HOUR)]
    assert 6 * HOUR - LATE <= silence(slow + fast) <= 6 * HOUR


def test_one_false_alarm_is_free_and_each_further_one_needs_a_month():
    hours = hourly(20)
    end, known = hours[-1].last, hours[29].last
    usual = silence(hours, known_since=known)
    assert usual <= 6 * HOUR
    for false_alarms in (1, 2, 3):
        blocked = learn(hours[-100:], false_alarms=false_alarms, known_since=known).limits.not_before
        assert blocked == known + (false_alarms + 1) * MONTH
        assert silence(hours, false_alarms=false_alarms, known_since=end - (false_alarms + 1) * MONTH) == usual


def test_a_silence_unlike_any_before_is_an_alarm_although_there_were_false_ones():
    hours = hourly(20, gaps=[(5, 9)])
    assert 9 * HOUR < silence(hours, false_alarms=1) <= 5 * 9 * HOUR
    hours = hourly(20, gaps=[(5, 60)])
    assert silence(hours, false_alarms=1) > 10 * DAY


def test_a_source_without_false_alarms_is_reported_before_the_deadline_after_two_months():
    assert silence(hourly(45)) == pytest.approx(6 * HOUR, abs=LATE)
    assert silence(hourly(70)) <= 2 * HOUR
    assert silence(hourly(70), false_alarms=1) == pytest.approx(6 * HOUR, abs=LATE), "that needs another month"
    assert silence(hourly(100), false_alarms=1, known_since=BEGIN) <= 2 * HOUR


@pytest.mark.parametrize("night", [8, 10, 14])
def test_a_source_that_is_silent_every_night_is_reported_in_the_morning(night):
    nights = [(day + 0.5, night) for day in range(40)]
    evening = [hour for hour in hourly(40, gaps=nights, documents=3) if hour.at <= BEGIN + 38 * DAY + 12 * HOUR]
    assert night * HOUR <= silence(evening, known_since=BEGIN) < (night + 8) * HOUR


def test_a_few_long_silences_are_no_habit():
    hours = hourly(90, gaps=[(20, 30), (40, 9), (60, 50)])
    assert silence(hours, known_since=BEGIN) == pytest.approx(6 * HOUR, abs=LATE)
