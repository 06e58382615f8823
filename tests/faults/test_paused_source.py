"""Crashes while a source is paused and while it is resumed: nothing is lost, doubled, stale or stuck."""

from __future__ import annotations

import time

import pytest

from tests.faults.scenario import Scenario
from tests.faults.stores import PostgresStore
from tests.support.servers import until
from worker.queue.lease_queue import LeaseQueue
from worker.queue.pauses.lane_pauses import Pause
from worker.queue.pauses.source_pauses import pause_source, resume_source

LANE, SOURCE = "documents", "north"
SHORT = "ingest.claimed"
LONG = ("dispatch.read", "dispatch.sent", "ingest.received", "ingest.kept", "ingest.committed")


@pytest.fixture(scope="module")
def scenario():
    store = PostgresStore()
    try:
        with Scenario(store, quick=True) as running:
            yield running
    finally:
        store.stop()


def paused_while_it_crashes_at(point):
    """The fault: a source is paused, processes die at `point`, it is resumed, and processes die there again."""

    def crash(scenario):
        scenario.arm(point)
        until(lambda: scenario.reached(point), seconds=60, what=f"{point} is reached", every=0.005)
        scenario.disarm(point)

    def inject(scenario):
        waiting = LeaseQueue(scenario.client, LANE).counts
        pause_source(scenario.client, LANE, SOURCE, Pause("test", time.time(), "a test"))
        crash(scenario)
        until(lambda: waiting().paused.get(SOURCE, 0) >= 5, seconds=60, what="its documents wait")
        until(lambda: waiting().waiting < 5, seconds=60, what="the others are processed")
        resume_source(scenario.client, LANE, SOURCE)
        crash(scenario)
        return scenario.pending() or scenario.until_busy()

    return inject


@pytest.mark.parametrize("point", [SHORT, *(pytest.param(one, marks=pytest.mark.long) for one in LONG)])
def test_nothing_is_lost_doubled_or_stale_if_processes_die_while_a_source_is_paused(point, scenario):
    result = scenario.inject(paused_while_it_crashes_at(point), f"a paused source and {point}")
    assert result.findings.clean, result.findings
    assert LeaseQueue(scenario.client, LANE).counts().backlog == 0
