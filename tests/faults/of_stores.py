"""Faults of the store: PostgreSQL's process, connections, locks, disk and transactions; SQLite's lock."""

from __future__ import annotations

import time

from tests.faults.registry import POSTGRESQL, fault, seconds
from tests.faults.scenario import Scenario, postgres
from tests.faults.stores import SqliteStore
from tests.support.servers import until
from worker.activity.heartbeats import workers


@fault(stores=POSTGRESQL)
def store_connections_reset(scenario: Scenario) -> int:
    met = 0
    for _ in range(4):
        met = max(met, scenario.until_busy())
        postgres(scenario).proxy.cut()
        time.sleep(0.3)
    return met


@fault(stores=POSTGRESQL)
def store_refused(scenario: Scenario) -> None:
    with postgres(scenario).proxy.refusing():
        time.sleep(seconds(10, 3))


@fault(stores=POSTGRESQL)
def store_black_hole(scenario: Scenario) -> None:
    with postgres(scenario).proxy.black_hole():
        time.sleep(seconds(60, 8))


@fault(stores=POSTGRESQL)
def postgres_restarted(scenario: Scenario) -> None:
    postgres(scenario).restart()


@fault(stores=POSTGRESQL)
def postgres_killed(scenario: Scenario) -> None:
    postgres(scenario).restart(crash=True)


@fault(stores=POSTGRESQL)
def postgres_connections_terminated(scenario: Scenario) -> int:
    met = 0
    for _ in range(4):
        met = max(met, scenario.until_busy())
        postgres(scenario).terminate()
        time.sleep(0.3)
    return met


@fault(stores=POSTGRESQL)
def postgres_hanging_on_a_lock(scenario: Scenario) -> None:
    with postgres(scenario).locked():
        time.sleep(seconds(30, 5))


@fault(stores=POSTGRESQL)
def postgres_read_only(scenario: Scenario) -> None:
    with postgres(scenario).read_only():
        time.sleep(seconds(15, 3))


@fault(stores=POSTGRESQL)
def postgres_disk_full(scenario: Scenario) -> None:
    with postgres(scenario).disk_full():
        until(lambda: _is_full(scenario), seconds=120, what="the disk is full")
        time.sleep(seconds(15, 3))


def _is_full(scenario: Scenario) -> bool:
    # An outage that continues from another cause is logged a minute later, and by each worker at once.
    reported = (scenario.workers.text(), *(one.reason for one in workers(scenario.client)))
    return any(words in text for words in ("53100", "No space left") for text in reported)


def _met(scenario: Scenario, state: str, times: int) -> None:
    with postgres(scenario).failing(state, times=times):
        until(lambda: postgres(scenario).failures() >= times, seconds=120, what=f"{state} was met {times} times")


@fault(stores=POSTGRESQL)
def postgres_deadlocks(scenario: Scenario) -> None:
    _met(scenario, "40P01", 6)


@fault(stores=POSTGRESQL)
def postgres_serialization_failures(scenario: Scenario) -> None:
    _met(scenario, "40001", 6)


@fault(stores=("sqlite",))
def sqlite_locked(scenario: Scenario) -> None:
    assert isinstance(scenario.store, SqliteStore)
    with scenario.store.locked():
        time.sleep(seconds(15, 3))
