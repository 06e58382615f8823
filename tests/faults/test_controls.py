"""Tests of the reconciliation itself: it must find a build that settles before it commits, and poison must be distinguished from
other faults.
"""

from __future__ import annotations

import pytest

from tests.faults.crashes import crash_at
from tests.faults.scenario import Scenario
from tests.faults.stores import SqliteStore
from tests.faults.traffic import fields, text_of


@pytest.fixture
def sqlite_scenario():
    """`sqlite_scenario(change)`: a system whose workers run the changed code."""
    store = SqliteStore()
    scenarios = []

    def running(change: str) -> Scenario:
        scenarios.append(Scenario(store, patch=change).__enter__())
        return scenarios[-1]

    yield running
    for scenario in scenarios:
        scenario.__exit__()
    store.stop()


def test_a_build_that_settles_before_it_commits_is_caught(sqlite_scenario):
    scenario = sqlite_scenario("settle_first")
    with pytest.raises(AssertionError, match=r"reconciliation of .* lost"):
        scenario.inject(crash_at("store.complete"), "a crash before the commit").check()


@pytest.mark.parametrize("death", ["SEGV", *(pytest.param(one, marks=pytest.mark.long) for one in ("LOOP", "MEMORY"))])
def test_only_poison_becomes_a_dead_letter(death, poisoned_scenario):
    scenario = poisoned_scenario
    deadly = scenario.traffic.good()
    deadly.code, deadly.source, deadly.key = "poison", "poisoner", f"{death}.md"
    deadly.url = f"https://www.poison.example/{death}"
    deadly.title = f"POISON-{death}"
    assert f"POISON-{death}" in text_of(deadly) and "raw" in fields(deadly)

    def push(scenario: Scenario) -> int:
        scenario.traffic.send(deadly)
        return scenario.until_busy()

    found = scenario.inject(push, f"poison {death}").check().findings
    assert found.counted["dead letters"] > 0


@pytest.fixture(scope="module")
def poisoned_scenario():
    store = SqliteStore()
    with Scenario(store, patch="poison") as scenario:
        yield scenario
    store.stop()
