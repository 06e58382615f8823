"""Under a fault, while documents stream in: they are stored again within 30 s, and none is lost, doubled, stale or stuck.

The short form injects one fault of each place (worker processes, Celery's queue, Redis, PostgreSQL, the network) into
one running system: after each, documents must be stored again, and one reconciliation at the end covers them all.
Outages are short, and the recovery time is not checked, because CI may run on a busy machine. The long form
(`-m long`, or `python -m tests.faults.soak --rounds 3`, which continues after a failure) injects every fault on both
databases, at the full length of the outages, and crashes at failpoints. It reconciles after each fault.
"""

from __future__ import annotations

import pytest

from tests.faults import registry
from tests.faults.faults import FAULTS, Unavailable, injections

SHORT = ("kill_main_process", "celery_messages_lost_doubled_reordered", "redis_killed", "postgres_killed",
         "redis_refused + store_refused")  # fmt: skip
"""Faults of the default suite, on PostgreSQL; those joined by `+` at the same time."""

LONG = [(store, turn, name) for store, turns in (("postgresql", 3), ("sqlite", 1)) for turn in range(turns)
        for name in injections(store)]  # fmt: skip
"""`tests.faults.soak --rounds` does this too."""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("names", SHORT)
def test_documents_are_stored_again_after_a_fault(names, scenario_on):
    scenario = scenario_on("postgresql")
    in_flight = scenario.inject_at_once(*(FAULTS[name].inject for name in names.split(" + ")))
    assert all(in_flight), f"{names} met no entry in flight: {in_flight}"
    scenario.until_flowing(names)


@pytest.mark.timeout(400)  # the scenario itself reports a stuck system, with the entries in flight
def test_the_reconciliation_after_all_faults_is_clean(scenario_on):
    scenario = scenario_on("postgresql")
    scenario.traffic.resume()
    scenario.until_flowing("all of them")
    scenario.until_drained("all of them")
    findings = scenario.reconciliation.run()
    assert findings.clean, findings
    assert findings.counted["receipts"] > 0


@pytest.fixture
def full_length(monkeypatch):
    monkeypatch.setattr(registry, "long_form", True)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("store", "turn", "name"), LONG)
def test_nothing_is_lost_doubled_stale_or_stuck_after_a_fault(name, store, turn, scenario_on, full_length):
    try:
        scenario_on(store).inject(injections(store)[name], name).check()
    except Unavailable as why:
        pytest.skip(str(why))
