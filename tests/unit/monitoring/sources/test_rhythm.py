"""The rhythm of a source is learnt from the hours in which it sent documents, and a silence is judged by it."""

import random

import pytest

from worker.monitoring.sources.hours import HOUR, Hour
from worker.monitoring.sources.operational_clock import OperationalClock
from worker.monitoring.sources.rhythm import learn
from worker.monitoring.sources.silence_limits import MIN_GAPS

DAY = 24 * HOUR
MONDAY = 1_700_438_400  # 2023-11-20 00:00 UTC


def hours(times):
    """Return the hours of arrivals."""
    found = []
    for at in sorted(times):
        start = int(at // HOUR) * HOUR
        if found and found[-1].at == start:
            found[-1] = Hour(start, found[-1].documents + 1, found[-1].first, at)
        else:
            found.append(Hour(start, 1, at, at))
    return found


def every(seconds, days, begin=MONDAY):
    return [begin + n * seconds for n in range(int(days * DAY / seconds))]


def expected(rhythm, since, until):
    return OperationalClock(rhythm.documents).between(since, until)


def test_a_source_with_fewer_than_thirty_gaps_has_no_rhythm():
    times = every(3 * HOUR, 100)
    assert learn(hours(times[:MIN_GAPS])) is None
    assert learn(hours(times[: MIN_GAPS + 1])) is not None
    assert learn([]) is None


def test_documents_within_one_hour_alone_are_no_rhythm():
    assert learn([Hour(MONDAY, 500, MONDAY, MONDAY + 60)]) is None


@pytest.mark.parametrize("gap", [60, 1800, 3 * HOUR, 20 * HOUR, 3 * DAY])
def test_a_regular_source_is_silent_within_the_promised_time_and_not_before_its_gap(gap):
    times = every(gap, 40 * max(gap, HOUR) / DAY)
    rhythm = learn(hours(times))
    silence = rhythm.silent_at(times[-1]) - times[-1]
    assert 1.2 * gap <= silence <= max(6 * HOUR, 3 * gap)
    if gap >= HOUR:
        assert (rhythm.usual_gap, rhythm.long_gap) == (gap, gap)
    else:
        assert rhythm.usual_gap == pytest.approx(gap, rel=0.05)


def test_bursts_make_no_gap_longer():
    calm = every(3 * HOUR, 30)
    bursts = [at + second for at in calm for second in (range(300) if at % DAY == 0 else (0,))]
    learnt, of_calm = learn(hours(bursts)), learn(hours(calm))
    assert learnt.longest_gap <= of_calm.longest_gap
    assert learnt.silent_at(calm[-1]) <= of_calm.silent_at(calm[-1])


def test_bursts_do_not_raise_what_is_expected():
    calm = every(HOUR, 30)
    burst = [*calm, *(calm[200] + second for second in range(3000))]
    a_day = expected(learn(hours(burst)), calm[-1], calm[-1] + DAY)
    assert a_day == pytest.approx(24, rel=0.1)


def _working_hours(weeks, chance):
    """Arrivals about every 20 minutes from 8 to 18 o'clock on five days of the week."""
    times = []
    for day in range(7 * weeks):
        if day % 7 < 5:
            times += [MONDAY + day * DAY + 8 * HOUR + chance.uniform(0, 10 * HOUR) for _ in range(30)]
    return sorted(times)


def test_nights_and_weekends_are_no_alarm_where_the_source_always_sleeps():
    times = _working_hours(9, random.Random(1))
    alarms = 0
    for number in range(len(times) // 2, len(times) - 1):
        if times[number + 1] - times[number] > 5 * HOUR:
            alarms += learn(hours(times[: number + 1])).silent_at(times[number]) < times[number + 1]
    assert alarms <= 2


def test_a_source_that_sleeps_at_night_is_missed_on_the_next_morning():
    times = _working_hours(9, random.Random(2))
    monday = [at for at in times if at < MONDAY + 56 * DAY + 18 * HOUR]
    silent_at = learn(hours(monday)).silent_at(monday[-1])
    assert silent_at - (MONDAY + 57 * DAY + 8 * HOUR) < 8 * HOUR, "not after that day"


def test_more_is_expected_in_the_hours_in_which_more_came():
    times = _working_hours(9, random.Random(3))
    rhythm = learn(hours(times))
    tuesday = MONDAY + 64 * DAY
    assert expected(rhythm, tuesday + 8 * HOUR, tuesday + 18 * HOUR) == pytest.approx(30, rel=0.35)
    assert expected(rhythm, tuesday, tuesday + 6 * HOUR) < 5
    assert expected(rhythm, tuesday + 4 * DAY, tuesday + 5 * DAY) < 15, "a Saturday"


def test_the_operational_clock_returns_to_where_it_came_from():
    chance = random.Random(4)
    clock = OperationalClock([chance.uniform(0.01, 1) for _ in range(168)])
    for _ in range(200):
        at, amount = MONDAY + chance.uniform(0, 30 * DAY), chance.uniform(0, 300)
        assert clock.at(clock.after(at, amount)) - clock.at(at) == pytest.approx(amount, abs=1e-6)


NIGHT = (MONDAY + 20 * DAY, MONDAY + 20 * DAY + 10 * HOUR)


@pytest.mark.parametrize("gap", [1800, 3 * HOUR, 12 * HOUR])
def test_a_standstill_of_copydesk_is_part_of_no_silence(gap):
    times = [at for at in every(gap, 60) if at < NIGHT[0]]
    usual = learn(hours(times)).silent_at(times[-1])
    assert learn(hours(times), [NIGHT]).silent_at(times[-1]) == pytest.approx(usual + 10 * HOUR, abs=3 * HOUR)
    before = [(NIGHT[0] - 99 * DAY, NIGHT[0] - 98 * DAY)]
    assert learn(hours(times), before).silent_at(times[-1]) == usual, "long before it"


def test_a_standstill_of_copydesk_is_part_of_no_gap():
    times = [at for at in every(1800, 40) if not NIGHT[0] < at < NIGHT[1]]
    rhythm = learn(hours(times), [NIGHT])
    assert rhythm.longest_gap <= 1800
    assert learn(hours(times)).longest_gap > 9 * HOUR


def test_nothing_is_expected_while_copydesk_stands_still():
    clock = OperationalClock([1.0] * 168, [(10 * HOUR, 12 * HOUR), (20 * HOUR, 21 * HOUR)])
    assert clock.between(0, 30 * HOUR) == pytest.approx(27)
    assert clock.between(11 * HOUR, 20.5 * HOUR) == pytest.approx(8)
    assert clock.between(13 * HOUR, 19 * HOUR) == pytest.approx(6)
    assert clock.after(11 * HOUR, 9) == pytest.approx(22 * HOUR)
