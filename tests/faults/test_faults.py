"""Under every fault, with documents streaming in: they flow again within 30 s, and none is lost, doubled, stale or stuck.

The short form shares one desk: after each fault documents must flow again, and one census at the end covers them all
(`-m long` takes one after each, three times on PostgreSQL and once on SQLite, at the full length of the outages).
"""

from __future__ import annotations

import pytest

from tests.faults import registry
from tests.faults.crashes import crash_at
from tests.faults.faults import FAULTS, Unavailable, strikes
from tests.faults.scene import RECOVERY_SECONDS
from worker.observe.failpoints import POINTS

QUICK = [name for name, fault in FAULTS.items() if fault.quick and "postgresql" in fault.stores]
LONG = [(store, turn, name) for store, turns in (("postgresql", 3), ("sqlite", 1)) for turn in range(turns)
        for name in strikes(store)]  # fmt: skip
"""What `tests.faults.soak --rounds` does too."""


@pytest.mark.long
@pytest.mark.parametrize("name", QUICK)
def test_documents_flow_again_after(name, desk_on):
    scene = desk_on("postgresql")
    try:
        assert scene.glance(FAULTS[name].strike, name) <= RECOVERY_SECONDS
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
def test_documents_flow_again_after_a_crash_at(point, desk_on):
    assert desk_on("postgresql").glance(crash_at(point), point) <= RECOVERY_SECONDS


@pytest.mark.long
def test_the_census_after_them_all_is_clean(desk_on):
    scene = desk_on("postgresql")
    scene.traffic.resume()
    scene.until_flowing("all of them")
    scene.until_drained("all of them")
    findings = scene.census.take()
    assert findings.clean, findings
    assert findings.counted["receipts"] > 0


@pytest.mark.long
def test_sqlite_locked_by_another_writer(desk_on):
    assert desk_on("sqlite").strike(FAULTS["sqlite_locked"].strike, "sqlite_locked").judge()


@pytest.fixture
def full_length(monkeypatch):
    monkeypatch.setattr(registry, "long_form", True)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("store", "turn", "name"), LONG)
def test_nothing_is_lost_doubled_stale_or_stuck_after(name, store, turn, desk_on, full_length):
    try:
        desk_on(store).strike(strikes(store)[name], name).judge()
    except Unavailable as why:
        pytest.skip(str(why))
