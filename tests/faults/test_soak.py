"""The results of the soak: no fault is left out, and every error reaches the exit code."""

from __future__ import annotations

import argparse
import json
import random

import pytest

from tests.faults import soak
from tests.faults.faults import injections
from tests.faults.reconciliation import Findings
from tests.faults.results import Results
from tests.faults.scenario import FaultResult


def fault_result(**more):
    return FaultResult(**{"fault": "one", "pending": 7, "recovery": 1.0, "drained": 2.0, "took": 3.0, "findings": Findings(), **more})  # fmt: skip


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_a_round_has_every_fault_once_in_the_order_of_the_seed(database):
    options = argparse.Namespace(rounds=2, database=database, only="")
    first, again, other = ([name for name, _ in soak._rounds(options, random.Random(seed))] for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(first) == sorted([*injections(database)] * 2)
    assert set(first[: len(first) // 2]) == set(injections(database))


@pytest.mark.parametrize(
    ("more", "wrong"),
    [({}, 0), ({"recovery": 31.0}, 1), ({"findings": Findings({"lost": [1]})}, 1),
     ({"recovery": 31.0, "findings": Findings({"lost": [1]})}, 2)],
)  # fmt: skip
def test_a_late_recovery_or_an_unclean_reconciliation_is_a_failure(more, wrong, tmp_path, capsys):
    results = Results(tmp_path / "results.jsonl")
    results.survived(fault_result(**more), load=1.0)
    (line,) = (json.loads(line) for line in results.path.read_text().splitlines())
    assert len(results.failures) == len(line["wrong"]) == wrong
    assert results.table().count("FAILED one") == wrong


def test_the_table_has_median_maximum_and_the_fewest_entries_in_flight(tmp_path, capsys):
    results = Results(tmp_path / "results.jsonl")
    for seconds, pending in ((1.0, 9), (2.0, 4), (6.0, 5)):
        results.survived(fault_result(recovery=seconds, drained=2 * seconds, pending=pending))
    results.failed("two", AssertionError("stuck"))
    results.skip("three", "not here")
    table = results.table()
    assert "| one | 3 | 2.0 / 6.0 | 4.0 / 12.0 | 4 |  |" in table
    assert "FAILED two: stuck" in table
    assert "| three | 0 | not possible here: not here |" in table
