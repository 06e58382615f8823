"""Behind PgBouncer, where each transaction may run in another session: nothing is lost, doubled, stale or wrongly
rejected.

Two workers under load, while pool processes, sessions of the server and the pooler itself are killed in random order
(in the long form the server too), and a reconciliation of every document at the end.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import text

from tests.faults.pooler import PooledStore
from tests.faults.scenario import Scenario
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.sql.flights import flights
from worker.store.sql.statements import Statement

Kill = Callable[[Scenario, PooledStore], None]


def kill_a_pool_process(scenario: Scenario, store: PooledStore) -> None:
    scenario.workers.hit_a_busy_process(lambda busy: os.kill(busy.pid, signal.SIGKILL))


def end_the_sessions(scenario: Scenario, store: PooledStore) -> None:
    store.terminate()


def restart_the_pooler(scenario: Scenario, store: PooledStore) -> None:
    store.pooler.restart()


def crash_the_server(scenario: Scenario, store: PooledStore) -> None:
    """The pooler keeps the connections of workers that are between two transactions."""
    store.restart(crash=True, down_seconds=0)


KILLS = (kill_a_pool_process, end_the_sessions, restart_the_pooler)


def kill_repeatedly(
    scenario: Scenario, store: PooledStore, *, seconds: float, pause: float, seed: int, kills: Sequence[Kill] = KILLS
) -> int:
    """Inject every kind of kill at least once, then random ones for `seconds`; returns the largest number of entries in
    flight.
    """
    draw, ends, met = random.Random(seed), time.monotonic() + seconds, 0
    upcoming = list(kills)
    while upcoming or time.monotonic() < ends:
        met = max(met, scenario.until_busy())
        (upcoming.pop() if upcoming else draw.choice(kills))(scenario, store)
        time.sleep(pause)
    return met


def result_of(mode: str, *, seconds: float, pause: float, seed: int = 0, kills: Sequence[Kill] = KILLS):
    store = PooledStore(mode)
    try:
        with Scenario(store, seed=seed) as scenario:
            return scenario.inject(
                lambda _: kill_repeatedly(scenario, store, seconds=seconds, pause=pause, seed=seed, kills=kills),
                f"{mode} mode",
            )
    finally:
        store.stop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ["transaction", pytest.param("session", marks=pytest.mark.long)])
def test_every_document_has_its_outcome_after_kills_behind_a_pooler(mode):
    result = result_of(mode, seconds=2, pause=0.5)
    assert result.findings.clean, result.findings
    assert result.findings.counted["receipts"] > 30


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_every_document_has_its_outcome_after_five_minutes_of_kills_behind_a_pooler(mode):
    kills = (*KILLS, crash_the_server)
    result = result_of(mode, seconds=300, pause=3, seed=random.randrange(10_000), kills=kills).check()
    print(result)


@pytest.fixture(scope="module")
def pooled():
    store = PooledStore("transaction")
    yield store
    store.stop()


def test_each_transaction_has_its_settings_and_leaves_none_to_others(pooled, tmp_path):
    config = Settings(database_url=pooled.workers_url, data_dir=tmp_path)
    ours, others = make_engine(config, repeats=True), make_engine(config)
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "TimeZone", "enable_seqscan")
    settings = [text(f"SHOW {name}") for name in names]
    for _ in range(3):
        with ours.connect() as connection:
            assert [connection.scalar(one) for one in settings] == ["10s", "9s", "12s", "UTC", "off"]
        with others.connect() as connection:
            assert connection.scalar(settings[-1]) == "on"
    ours.dispose()
    others.dispose()


def test_no_statement_is_left_in_a_session_that_another_client_gets(pooled, tmp_path):
    engine = make_engine(Settings(database_url=pooled.workers_url, data_dir=tmp_path), repeats=True)
    for _ in range(20):
        with engine.begin() as connection:
            connection.execute(text("SELECT CAST(:number AS bigint)"), {"number": 1})
        with flights(engine) as transaction:
            transaction.execute(Statement("SELECT CAST(%s AS bigint)", (1,)))
            transaction.commit()
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0
    engine.dispose()
