"""A system under load, shared by the faults of one module."""

from __future__ import annotations

import pytest

from tests.faults.scenario import Scene
from tests.faults.stores import PostgresStore, SqliteStore


@pytest.fixture(scope="module")
def desk_on():
    """`desk_on("postgresql")`: a running scenario on that store, one for all tests of a module that ask for it."""
    scenes, stores = {}, {}

    def running(kind: str) -> Scene:
        if kind not in scenes:
            stores[kind] = PostgresStore() if kind == "postgresql" else SqliteStore()
            scenes[kind] = Scene(stores[kind]).__enter__()
        return scenes[kind]

    yield running
    for scene in scenes.values():
        scene.__exit__()
    for store in stores.values():
        store.stop()
