"""A system under load, shared by the faults of one module."""

from __future__ import annotations

import contextlib

import pytest

from tests.faults.scenario import Scenario
from tests.faults.stores import PostgresStore, SqliteStore


@pytest.fixture(scope="module")
def scenario_on():
    """`scenario_on("postgresql")`: a running scenario on that store, one for all tests of a module that ask for it."""
    scenarios: dict[str, Scenario] = {}
    with contextlib.ExitStack() as stack:

        def running(kind: str) -> Scenario:
            if kind not in scenarios:
                store = PostgresStore() if kind == "postgresql" else SqliteStore()
                stack.callback(store.stop)
                scenarios[kind] = stack.enter_context(Scenario(store))
            return scenarios[kind]

        yield running
