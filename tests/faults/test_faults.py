"""Under every fault, while documents stream in: they are stored again within 30 s, and none is lost, doubled, stale or
stuck.

The short form shares one running system, and outages are short: after each row of faults documents must be stored
again, and one
reconciliation at the end covers them all. The recovery time is not checked, because CI may run on a busy machine. The
long form
(`-m long`, or `python -m tests.faults.soak --rounds 3`, which continues after a failure) reconciles after each fault,
at the full
length of the outages, and includes crashes at failpoints.
"""

from __future__ import annotations

import pytest

from tests.faults import registry
from tests.faults.faults import FAULTS, Unavailable, injections

SHORT = {
    "killed": ["kill_pool_child", "kill_main_process", "kill_whole_group", "kill_all_groups"],
    "ended": ["stop_with_sigterm", "stop_with_sigquit"],
    "asleep": ["stopped_past_its_lease + postgres_hanging_on_a_lock"],
    "redis": ["redis_restarted", "redis_killed", "redis_killed_with_fsync_every_second", "redis_restored_from_older_file"],
    "clocks": ["worker_clock_steps", "redis_clock_steps_back", "redis_clock_steps_forward"],
    "clients": ["clients_killed", "clients_paused + postgres_read_only", "celery_messages_lost_doubled_reordered"],
    "resets": ["redis_connections_reset", "store_connections_reset", "postgres_connections_terminated"],
    "refusals": ["redis_refused + store_refused", "redis_slow + postgres_disk_full"],
    "silence": ["redis_black_hole + store_black_hole", "redis_frozen"],
    "postgres": ["postgres_restarted", "postgres_killed", "postgres_deadlocks", "postgres_serialization_failures"],
}  # fmt: skip
"""Every fault of PostgreSQL's scenario: faults of a row one after the other, faults joined by `+` at the same time."""

LONG = [(store, turn, name) for store, turns in (("postgresql", 3), ("sqlite", 1)) for turn in range(turns)
        for name in injections(store)]  # fmt: skip
"""`tests.faults.soak --rounds` does this too."""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("row", SHORT)
def test_documents_are_stored_again_after_a_fault(row, scenario_on):
    scenario = scenario_on("postgresql")
    for moment in SHORT[row]:
        faults = [FAULTS[name].inject for name in moment.split(" + ")]
        try:
            in_flight = scenario.inject_at_once(*faults)
        except Unavailable as why:
            pytest.skip(str(why))
        assert all(in_flight), f"{moment} met no entry in flight: {in_flight}"
    scenario.until_flowing(row)


@pytest.mark.timeout(400)  # the scenario itself reports a stuck system, with the entries in flight
def test_the_reconciliation_after_all_faults_is_clean(scenario_on):
    scenario = scenario_on("postgresql")
    scenario.traffic.resume()
    scenario.until_flowing("all of them")
    scenario.until_drained("all of them")
    findings = scenario.reconciliation.run()
    assert findings.clean, findings
    assert findings.counted["receipts"] > 0


@pytest.mark.timeout(400)
def test_documents_are_stored_again_after_another_writer_locked_sqlite(scenario_on):
    result = scenario_on("sqlite").inject(FAULTS["sqlite_locked"].inject, "sqlite_locked")
    assert result.findings.clean, result.findings


def test_every_fault_has_its_short_form():
    short = [name for row in SHORT.values() for moment in row for name in moment.split(" + ")]
    assert sorted([*short, "sqlite_locked"]) == sorted(FAULTS)


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
