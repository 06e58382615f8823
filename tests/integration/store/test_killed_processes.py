"""Four processes at once, killed at random: the store is still a function of the latest accepted versions alone."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from tests.integration.store.histories import batches_of, history
from tests.integration.store.processes import Processes
from tests.integration.store.snapshot import broken_rules, snapshot
from tests.integration.store.store_driver import alone, empty, settle
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.tables import receipts

_SIZES = (st.integers(0, 2**32), st.integers(1, 8), st.integers(1, 24))


@pytest.fixture(scope="module")
def store(module_store_url, tmp_path_factory):
    config = Settings(database_url=module_store_url, data_dir=tmp_path_factory.mktemp("data"))
    processes, engine = Processes(config, 4), make_engine(config)
    yield processes, engine
    processes.stop()
    engine.dispose()


def _snapshot(engine):
    settle(engine)
    with engine.connect() as connection:
        return snapshot(connection)


def _ends_as_the_latest_versions_alone(store, seed, documents, length):
    processes, engine = store
    random = Random(seed)
    events = history(random, documents=documents, length=length)
    empty(engine)
    outcomes = processes.run(random, engine, events, batches_of(random, events))
    found = _snapshot(engine)
    assert broken_rules(engine) == set()
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(receipts)) == len(outcomes)
    empty(engine)
    alone(engine, events)
    assert found == _snapshot(engine)


def _many_times(store, examples):
    @given(*_SIZES)
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    def hold(seed, documents, length):
        _ends_as_the_latest_versions_alone(store, seed, documents, length)

    hold()
    assert store[0].kills > examples / 5


@pytest.mark.timeout(600)
def test_four_processes_killed_at_random_end_as_the_latest_versions_alone(store):
    _many_times(store, 4)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_two_thousand_histories_of_four_processes_killed_at_random(store):
    _many_times(store, 2000)
