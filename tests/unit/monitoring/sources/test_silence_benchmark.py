"""The benchmark of silent sources finds cuts of a regular source, and counts a silence without a cut as a false alarm."""

import json
import random

import pytest

from tests.benchmarks import made_up_rhythms
from tests.benchmarks.made_up_rhythms import RHYTHMS
from tests.benchmarks.silence import arrivals, replay, silences_of_all

HOUR = 3600
DAY = 24 * HOUR
BEGIN = 1_700_000_000


def test_cuts_of_a_regular_source_are_found_without_a_false_alarm():
    result = replay("a", [BEGIN + n * 2 * HOUR for n in range(500)], 20, 1, [])
    assert (result.found, result.false_alarms, result.low_alarms) == (1.0, 0, 0)


def test_a_silence_of_a_regular_source_without_a_cut_is_one_false_alarm():
    times = [BEGIN + n * 2 * HOUR + (n > 250) * 48 * HOUR for n in range(500)]
    assert replay("a", times, 20, 1, []).false_alarms == 1


def test_a_source_without_thirty_gaps_is_left_out():
    assert replay("a", [BEGIN + n * 2 * HOUR for n in range(30)], 20, 1, []) is None


def test_histories_and_documents_are_read(tmp_path):
    raw = "---\npublishedDateTime: 2020-05-01T10:00:00Z\nprovider:\n  name: A\n  domain: A.example\n---\n"
    history = tmp_path / "x-history.jsonl"
    history.write_text(
        json.dumps({"at": 5, "raw": raw}) + "\n" + json.dumps({"at": 7, "deleted": True, "raw": ""}) + "\n"
    )
    (tmp_path / "a.md").write_text(raw)
    assert arrivals(history) == {"a.example": [5.0]}
    assert arrivals(tmp_path) == {"a.example": [1_588_327_200.0]}


IN_CONFLICT = {
    "often, but silent at night": 0.3, "office hours": 0.5, "office hours that change": 0.3, "events": 0.5, "bursts": 0.05,
    "seasons": 0.1, "slow decline": 0.4, "suddenly slower": 0.4, "two crawlers": 0.5,
}  # fmt: skip
"""More than one gap a month is beyond the deadline: alarms are limited, and what is found in spite of that."""
SHORT = {"silent at night", "bursts"}
"""One with regular gaps and one in conflict; the other rhythms are long tests."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (name not in SHORT)) for name in RHYTHMS]
)
def test_of_any_rhythm_one_alarm_a_month_is_false_at_most_and_cuts_are_found_unless_that_is_impossible(name):
    result = replay(name, made_up_rhythms.arrivals(name, 0), 60, 1, [])
    assert result.false_alarms <= max(1, result.months)
    assert result.is_in_conflict == (name in IN_CONFLICT)
    assert result.found >= IN_CONFLICT.get(name, 0.95)


def test_a_source_is_in_conflict_if_more_than_one_gap_a_month_is_beyond_the_deadline():
    def replayed(gaps):
        times = [BEGIN + n * 2 * HOUR for n in range(90 * 12)]
        return replay(
            "a", [at for at in times if not any(0 < at - BEGIN - begin * DAY < 20 * HOUR for begin in gaps)], 5, 1, []
        )

    rare, often = replayed([20, 50]), replayed([20, 30, 40, 50, 60])
    assert (rare.beyond, rare.is_in_conflict, rare.at_best) == (2, False, 1.0)
    assert (often.beyond, often.is_in_conflict) == (5, True)
    spared = 3 * 14 * HOUR / (often.months * 30 * DAY)
    assert often.at_best == pytest.approx(1 - spared, abs=0.001)


def _nights(chance):
    """Silent at night."""
    return [BEGIN + day * DAY + chance.uniform(7, 23) * HOUR for day in range(180) for _ in range(6)]


def test_a_stop_of_the_crawler_is_one_alarm_of_all_sources_and_none_of_each():
    stop = BEGIN + 60 * DAY
    arrived = [sorted(_nights(random.Random(source)))[: 6 * 90] for source in range(3)]
    times = {source: [at for at in of if not stop < at < stop + 3 * DAY] for source, of in enumerate(arrived)}
    silences = silences_of_all(sorted(at for of in times.values() for at in of))
    assert [one for one in silences if one.began <= stop <= one.ended]
    alone = [replay("a", of, 8, 1, []) for of in times.values()]
    together = [replay("a", of, 8, 1, silences) for of in times.values()]
    assert sum(one.false_alarms for one in alone) == sum(one.false_alarms for one in together) + 3
    assert min(one.found for one in together) >= 0.95
