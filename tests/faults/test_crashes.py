"""A crash at each failpoint of the protocol: nothing is lost, doubled, stale or stuck after it."""

from __future__ import annotations

import pytest

from tests.faults.crashes import crash_at
from tests.faults.scenario import Scenario
from tests.faults.stores import PostgresStore, SqliteStore
from worker.telemetry.failpoints import POINTS

ROWS = (
    ("postgresql", ("dispatch.sent", "ingest.claimed", "ingest.committed", "ingest.settled")),
    ("postgresql", ("reap.taken", "ingest.released", "replay.sent")),
    ("sqlite", ("store.begun", "store.turn", "store.complete")),
)
"""The short form: crashes one after the other, and a reconciliation after each row. The first row is the way of a document,
the second what happens after a crash, an outage or a rejection; on SQLite before, at the beginning and at the end of its one
transaction.
"""
SINGLE = [
    (store, point)
    for store in ("postgresql", "sqlite")
    for point in POINTS
    if store == "postgresql" or point.startswith("store.")
]


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


@pytest.mark.parametrize(("store", "row"), ROWS, ids=lambda value: value if isinstance(value, str) else "+".join(value))
def test_nothing_is_lost_doubled_stale_or_stuck_after_crashes(store, row, quick_scenario):
    scenario = quick_scenario(store)
    for point in row:
        assert all(scenario.inject_at_once(crash_at(point))), f"a crash at {point} met no entry in flight"
        scenario.until_flowing(point)
    scenario.until_drained(row[-1])
    findings = scenario.reconciliation.run()
    assert findings.clean, findings


@pytest.mark.long
@pytest.mark.parametrize(("store", "point"), SINGLE)
def test_nothing_is_lost_doubled_stale_or_stuck_after_a_crash(store, point, quick_scenario):
    result = quick_scenario(store).inject(crash_at(point), point)
    assert result.findings.clean, result.findings
