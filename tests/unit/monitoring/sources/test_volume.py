"""A source sends far less than it should when a day brings less than half of the poorest of four weeks."""

import pytest

from worker.monitoring.sources.hours import HOUR, Hour
from worker.monitoring.sources.volume import volume

DAY = 24 * HOUR
NOW = 20_000 * DAY + 13 * HOUR + 1234


def days(counts):
    """Return hours with `counts` documents on each of the last days, the newest last, spread over each day."""
    found = []
    for back, count in enumerate(reversed(counts)):
        end = NOW // HOUR * HOUR - back * DAY
        found += [Hour(end - n * HOUR, count // 24, end - n * HOUR, end - n * HOUR) for n in range(1, 25)]
    return sorted(found, key=lambda hour: hour.at)


@pytest.mark.parametrize(("today", "is_low"), [(24 * 10, False), (24 * 5, False), (24 * 4, True), (0, True)])
def test_less_than_half_of_the_poorest_day_is_low(today, is_low):
    found = volume(days([24 * 10] * 29 + [today]), NOW)
    assert (found.received, found.poorest, found.is_low) == (today, 240, is_low)


def test_a_source_whose_weekends_are_poor_is_not_low_at_a_weekend():
    week = [24 * 20] * 5 + [24 * 2] * 2
    assert not volume(days(week * 5), NOW).is_low


def test_small_numbers_and_short_histories_raise_nothing():
    assert not volume(days([0] * 29 + [0]), NOW).is_low
    assert not volume(days([24 * 100] * 10 + [24]), NOW).is_low
    assert not volume([], NOW).is_low


def test_a_burst_does_not_make_the_following_days_low():
    assert not volume(days([24 * 10] * 20 + [24 * 1000] * 3 + [24 * 10]), NOW).is_low


def test_a_day_in_which_copydesk_stood_still_is_not_compared():
    counts = [24 * 10] * 29 + [24]
    still = [(NOW - 20 * HOUR, NOW - 5 * HOUR)]
    assert volume(days(counts), NOW).is_low
    assert not volume(days(counts), NOW, still).is_low
    counts[20] = 24
    earlier = NOW - 9 * DAY
    assert not volume(days(counts), NOW).is_low
    assert volume(days(counts), NOW, [(earlier - 20 * HOUR, earlier - HOUR)]).is_low
