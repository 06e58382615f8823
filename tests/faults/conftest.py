"""A system under load, shared by the faults of one module."""

from __future__ import annotations

import pytest

from tests.faults.scenario import Scenario
from tests.faults.stores import PostgresStore, SqliteStore


@pytest.fixture(scope="module")
def scenario_on():
    """`scenario_on("postgresql")`: a running scenario on that store, one for all tests of a module that ask for it."""
    scenarios, stores = {}, {}

    def running(kind: str) -> Scenario:
        if kind not in scenarios:
            stores[kind] = PostgresStore() if kind == "postgresql" else SqliteStore()
            scenarios[kind] = Scenario(stores[kind]).__enter__()
        return scenarios[kind]

    yield running
    for scenario in scenarios.values():
        scenario.__exit__()
    for store in stores.values():
        store.stop()
