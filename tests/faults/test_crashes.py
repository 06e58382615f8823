"""A crash at each failpoint of the protocol, in the short form: nothing is lost, doubled, stale or stuck after it."""

from __future__ import annotations

import pytest

from tests.faults.crashes import crash_at
from tests.faults.scenario import Scenario
from tests.faults.stores import PostgresStore, SqliteStore
from worker.telemetry.failpoints import POINTS

_SHORT_ON_SQLITE = ("store.raw", "store.turn", "store.complete")
"""Before, at the beginning and at the end of SQLite's one transaction; the other points within it are in the long form."""
CASES = [("postgresql", point) for point in POINTS] + [
    pytest.param("sqlite", point, marks=() if point in _SHORT_ON_SQLITE else pytest.mark.long)
    for point in POINTS if point.startswith("store.")
]  # fmt: skip


@pytest.fixture(scope="module")
def quick_scenario(request):
    """`quick_scenario(store)`: a worker of one process on that store, started when it is first asked for."""
    scenarios = {}

    def running(kind: str) -> Scenario:
        if kind not in scenarios:
            store = PostgresStore() if kind == "postgresql" else SqliteStore()
            request.addfinalizer(store.stop)
            scenarios[kind] = Scenario(store, quick=True).__enter__()
            request.addfinalizer(scenarios[kind].__exit__)
        return scenarios[kind]

    return running


@pytest.mark.parametrize(("store", "point"), CASES)
def test_nothing_is_lost_doubled_stale_or_stuck_after_a_crash(store, point, quick_scenario):
    result = quick_scenario(store).inject(crash_at(point), point)
    assert result.findings.clean, result.findings
