"""A crash at each failpoint of the protocol, in the short form: nothing is lost, doubled, stale or stuck after it."""

from __future__ import annotations

import pytest

from tests.faults.crashes import crash_at
from tests.faults.scene import Scene
from tests.faults.stores import PostgresStore, SqliteStore
from worker.observe.failpoints import POINTS


@pytest.fixture(scope="module", params=[PostgresStore, SqliteStore], ids=["postgresql", "sqlite"])
def quick_desk(request):
    store = request.param()
    with Scene(store, quick=True) as scene:
        yield scene
    store.stop()


@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_lost_doubled_stale_or_stuck_after_a_crash_at(point, quick_desk):
    quick_desk.strike(crash_at(point), point).judge()
