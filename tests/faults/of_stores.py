"""Faults of the store: PostgreSQL's process, connections, locks, disk and transactions; SQLite's lock."""

from __future__ import annotations

import time

from tests.faults.registry import POSTGRESQL, fault, seconds
from tests.faults.scenario import Scene, postgres
from tests.faults.stores import SqliteStore
from tests.support.servers import until
from worker.activity.heartbeats import workers


@fault(stores=POSTGRESQL)
def store_connections_reset(scene: Scene) -> int:
    met = 0
    for _ in range(4):
        met = max(met, scene.until_busy())
        postgres(scene).proxy.cut()
        time.sleep(0.3)
    return met


@fault(stores=POSTGRESQL)
def store_refused(scene: Scene) -> None:
    with postgres(scene).proxy.refusing():
        time.sleep(seconds(10, 3))


@fault(stores=POSTGRESQL)
def store_black_hole(scene: Scene) -> None:
    with postgres(scene).proxy.black_hole():
        time.sleep(seconds(60, 8))


@fault(stores=POSTGRESQL)
def postgres_restarted(scene: Scene) -> None:
    postgres(scene).restart()


@fault(stores=POSTGRESQL)
def postgres_killed(scene: Scene) -> None:
    postgres(scene).restart(crash=True)


@fault(stores=POSTGRESQL)
def postgres_connections_terminated(scene: Scene) -> int:
    met = 0
    for _ in range(4):
        met = max(met, scene.until_busy())
        postgres(scene).terminate()
        time.sleep(0.3)
    return met


@fault(stores=POSTGRESQL)
def postgres_hanging_on_a_lock(scene: Scene) -> None:
    with postgres(scene).locked():
        time.sleep(seconds(30, 5))


@fault(stores=POSTGRESQL)
def postgres_read_only(scene: Scene) -> None:
    with postgres(scene).read_only():
        time.sleep(seconds(15, 3))


@fault(stores=POSTGRESQL)
def postgres_disk_full(scene: Scene) -> None:
    with postgres(scene).disk_full():
        until(lambda: _is_full(scene), seconds=120, what="the disk is full")
        time.sleep(seconds(15, 3))


def _is_full(scene: Scene) -> bool:
    # An outage that continues from another cause is logged a minute later, and by each worker at once.
    said = (scene.desk.text(), *(one.reason for one in workers(scene.client)))
    return any(words in text for words in ("53100", "No space left") for text in said)


def _met(scene: Scene, state: str, times: int) -> None:
    with postgres(scene).failing(state, times=times):
        until(lambda: postgres(scene).failures() >= times, seconds=120, what=f"{state} was met {times} times")


@fault(stores=POSTGRESQL)
def postgres_deadlocks(scene: Scene) -> None:
    _met(scene, "40P01", 6)


@fault(stores=POSTGRESQL)
def postgres_serialization_failures(scene: Scene) -> None:
    _met(scene, "40001", 6)


@fault(stores=("sqlite",))
def sqlite_locked(scene: Scene) -> None:
    assert isinstance(scene.store, SqliteStore)
    with scene.store.locked():
        time.sleep(seconds(15, 3))
