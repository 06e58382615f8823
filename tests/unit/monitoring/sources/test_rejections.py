"""A rejected share over the setting, or far above the usual one, is an alarm of its source; chance is not."""

import random
from math import comb

import pytest

from worker.activity.minute_counters import Minute
from worker.monitoring.sources.alarm import SourceAlarm, merged
from worker.monitoring.sources.rejections import is_alarming, rejection_alarms, tail
from worker.settings import INTERNAL_LANE


@pytest.mark.parametrize(("count", "least", "share"), [(12, 6, 0.2), (50, 17, 0.2), (5, 5, 0.9), (30, 1, 0.01)])
def test_the_tail_is_that_of_the_binomial_distribution(count, least, share):
    exact = sum(comb(count, n) * share**n * (1 - share) ** (count - n) for n in range(least, count + 1))
    assert tail(count, least, share) == pytest.approx(exact)


def test_the_tail_of_a_million_documents_is_computed_at_once():
    assert tail(1_000_000, 200_500, 0.2) == pytest.approx(0.105, abs=0.01)


@pytest.mark.parametrize(
    ("documents", "rejected", "usual", "alarming"),
    [
        (2000, 2000, None, True),
        (12, 6, None, True),
        (5, 5, None, True),
        (4, 4, None, False),
        (100, 20, None, False),
        (1000, 150, None, False),
        (1000, 150, 0.01, True),
        (1000, 40, 0.01, False),
        (1000, 150, 0.14, False),
        (0, 0, 0.0, False),
    ],
)
def test_over_the_setting_or_unusual(documents, rejected, usual, alarming):
    assert is_alarming(documents, rejected, setting=0.2, usual=usual) is alarming


def test_a_source_at_half_of_the_setting_raises_nothing_in_a_thousand_looks():
    chance = random.Random(1)
    looks = [sum(chance.random() < 0.1 for _ in range(50)) for _ in range(1000)]
    assert not any(is_alarming(50, rejected, setting=0.2, usual=0.1) for rejected in looks)


@pytest.mark.parametrize(
    ("rejected", "usual", "lasts"), [(15, None, True), (10, None, False), (8, 0.01, True), (3, 0.01, False)]
)
def test_a_raised_alarm_lasts_as_long_as_the_share_is_too_high(rejected, usual, lasts):
    assert is_alarming(50, rejected, setting=0.2, usual=usual, is_raised=True) is lasts


def minute(at, lane="documents", **sources):
    found = Minute(at)
    for source, (good, bad) in sources.items():
        found.outcomes[lane, source, "stored"] += good
        found.outcomes[lane, source, "rejected"] += bad
    return found


def test_one_bad_source_among_ten_good_ones_is_named():
    good = {f"good{n}": (500, 5) for n in range(10)}
    (alarm,) = rejection_alarms([minute(60, **good), minute(120, **good, bad=(6, 6))], 0.2)
    assert (alarm.source, alarm.documents, alarm.rejected, alarm.since) == ("bad", 12, 6, 120)
    (alarm,) = rejection_alarms([minute(60, **good, bad=(0, 2000))], 0.2)
    assert (alarm.source, alarm.rejected) == ("bad", 2000)


def test_a_source_is_good_again_when_its_newest_fifty_documents_are():
    assert rejection_alarms([minute(60, a=(0, 2000)), minute(120, a=(10, 0))], 0.2)
    assert not rejection_alarms([minute(60, a=(0, 2000)), minute(120, a=(50, 0))], 0.2)


def test_replays_of_operators_do_not_count():
    assert not rejection_alarms([minute(60, INTERNAL_LANE, a=(0, 2000))], 0.2)


def test_the_alarm_of_the_store_replaces_the_same_alarm_of_the_last_minutes():
    fresh = SourceAlarm(kind="rejected", source="a", since=2, documents=10, rejected=9)
    stored = SourceAlarm(kind="rejected", source="a", since=1, documents=50, rejected=40)
    silent = SourceAlarm(kind="silent", source="a", since=1)
    assert merged([silent, stored], [fresh]) == [stored, silent]
