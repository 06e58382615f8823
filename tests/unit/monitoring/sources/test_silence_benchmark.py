"""The benchmark of silent sources finds cuts of a regular source, and counts a silence without a cut as a false alarm."""

import json
import random

import pytest

from tests.benchmarks.silence import arrivals, replay, silences_of_all

HOUR = 3600
BEGIN = 1_700_000_000


def test_cuts_of_a_regular_source_are_found_without_a_false_alarm():
    result = replay("a", [BEGIN + n * 2 * HOUR for n in range(1000)], 20, 1, [])
    assert (result.found, result.false_alarms, result.low_alarms) == (1.0, 0, 0)


def test_a_silence_of_a_regular_source_without_a_cut_is_one_false_alarm():
    times = [BEGIN + n * 2 * HOUR + (n > 500) * 48 * HOUR for n in range(1000)]
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


DAY = 24 * HOUR
DAYS = 180


def _nights(chance):
    """Silent at night."""
    return [BEGIN + day * DAY + chance.uniform(7, 23) * HOUR for day in range(DAYS) for _ in range(6)]


def _office(chance):
    """Silent at night and at weekends."""
    return [BEGIN + day * DAY + chance.uniform(8, 18) * HOUR for day in range(DAYS) if day % 7 < 5 for _ in range(8)]


def _weekly(chance):
    """A dozen documents once a week."""
    return [BEGIN + week * 7 * DAY + chance.uniform(0, 3) * HOUR for week in range(DAYS // 7) for _ in range(12)]


def _rare(chance):
    """One document a day, at any time."""
    return [BEGIN + chance.uniform(0, DAYS) * DAY for _ in range(DAYS)]


def _events(chance):
    """Dozens of documents within hours when something happens, else one or two a day."""
    times = [BEGIN + chance.uniform(0, DAYS) * DAY for _ in range(2 * DAYS)]
    for _ in range(30):
        begin = BEGIN + chance.uniform(0, DAYS) * DAY
        times += [begin + chance.uniform(0, 6) * HOUR for _ in range(30)]
    return times


def _seasons(chance):
    """A dozen documents a day for three weeks, then one a day for three weeks."""
    return [
        BEGIN + day * DAY + chance.uniform(0, 24) * HOUR
        for day in range(DAYS)
        for _ in range(12 if day // 21 % 2 == 0 else 1)
    ]


@pytest.mark.parametrize(
    ("rhythm", "share"),
    [(_nights, 0.95), (_office, 0.95), (_weekly, 0.95), (_rare, 0.95), (_events, 0.9), (_seasons, 0.7)],
)
def test_of_any_rhythm_there_is_one_false_alarm_a_month_and_cuts_are_found(rhythm, share):
    """The first nights, weekends and pauses are not known: up to three more."""
    results = [replay("a", sorted(rhythm(random.Random(seed))), 40, seed, []) for seed in range(2)]
    for result in results:
        assert result.false_alarms + result.low_alarms <= result.months + 3
    assert sum(result.found for result in results) / len(results) >= share


def test_a_stop_of_the_crawler_is_one_alarm_of_all_sources_and_none_of_each():
    stop = BEGIN + 60 * DAY
    arrived = [sorted(_nights(random.Random(source)))[: 6 * 90] for source in range(3)]
    times = {source: [at for at in of if not stop < at < stop + 3 * DAY] for source, of in enumerate(arrived)}
    silences = silences_of_all(sorted(at for of in times.values() for at in of))
    assert [one for one in silences if one.began <= stop <= one.ended]
    alone = [replay("a", of, 60, 1, []) for of in times.values()]
    together = [replay("a", of, 60, 1, silences) for of in times.values()]
    assert sum(one.false_alarms for one in alone) == sum(one.false_alarms for one in together) + 3
    assert min(one.found for one in together) >= 0.95
