"""The benchmark of silent sources finds cuts of a regular source, and counts a silence without a cut as a false alarm."""

import json

from tests.benchmarks.silence import arrivals, replay

HOUR = 3600
BEGIN = 1_700_000_000


def test_cuts_of_a_regular_source_are_found_without_a_false_alarm():
    result = replay("a", [BEGIN + n * 2 * HOUR for n in range(1000)], 20, 1)
    assert (result.found, result.false_alarms, result.low_alarms) == (1.0, 0, 0)


def test_a_silence_of_a_regular_source_without_a_cut_is_one_false_alarm():
    times = [BEGIN + n * 2 * HOUR + (n > 500) * 48 * HOUR for n in range(1000)]
    assert replay("a", times, 20, 1).false_alarms == 1


def test_a_source_without_thirty_gaps_is_left_out():
    assert replay("a", [BEGIN + n * 2 * HOUR for n in range(30)], 20, 1) is None


def test_histories_and_documents_are_read(tmp_path):
    raw = "---\npublishedDateTime: 2020-05-01T10:00:00Z\nprovider:\n  name: A\n  domain: A.example\n---\n"
    history = tmp_path / "x-history.jsonl"
    history.write_text(
        json.dumps({"at": 5, "raw": raw}) + "\n" + json.dumps({"at": 7, "deleted": True, "raw": ""}) + "\n"
    )
    (tmp_path / "a.md").write_text(raw)
    assert arrivals(history) == {"a.example": [5.0]}
    assert arrivals(tmp_path) == {"a.example": [1_588_327_200.0]}
