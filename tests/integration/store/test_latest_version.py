"""The store is a function of the latest accepted version of each document alone."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.store.histories import batches_of, history
from tests.integration.store.snapshot import snapshot
from tests.integration.store.store_driver import StoreDriver, alone, empty, settle
from worker.settings import Settings
from worker.store.background import target_step
from worker.store.decide import decision, stored
from worker.store.engine import make_engine


@pytest.fixture(scope="module")
def engines(module_store_url, tmp_path_factory):
    """Two engines on one store, as two workers have them."""
    config = Settings(database_url=module_store_url, data_dir=tmp_path_factory.mktemp("data"))
    engines = [make_engine(config), make_engine(config)]
    yield engines
    for engine in engines:
        engine.dispose()


def _snapshot(engine):
    settle(engine)
    with engine.connect() as connection:
        return snapshot(connection)


def _ends_as_the_latest_versions_alone(engines, seed, documents, length):
    random = Random(seed)
    events = history(random, documents=documents, length=length)
    empty(engines[0])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decision, "STEP_DOCUMENTS", random.choice((1, 2, 1000)))
        patched.setattr(stored, "MOST_NAMERS", random.choice((1, 2, 50)))
        patched.setattr(target_step, "STEP_LINKS", random.choice((1, 1000)))
        StoreDriver(random, events, batches_of(random, events)).run(*engines)
        found = _snapshot(engines[0])
    empty(engines[0])
    alone(engines[0], events)
    assert found == _snapshot(engines[0])


_SIZES = (st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 14))


def _many_times(engines, examples):
    """On PostgreSQL use a third of `examples`: each needs 400 statements, and each statement is a context switch."""
    if engines[0].dialect.name == "postgresql":
        examples //= 3

    @given(*_SIZES)
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    def hold(seed, documents, length):
        _ends_as_the_latest_versions_alone(engines, seed, documents, length)

    hold()


@pytest.mark.timeout(600)
def test_any_order_redelivery_and_replay_ends_as_the_latest_versions_alone(engines):
    _many_times(engines[:1], 9)


@pytest.mark.timeout(600)
def test_two_workers_at_once_end_as_the_latest_versions_alone(engines):
    _many_times(engines, 6)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("workers", [1, 2])
@given(*_SIZES)
@settings(max_examples=2500, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_histories_end_as_the_latest_versions_alone(engines, workers, seed, documents, length):
    _ends_as_the_latest_versions_alone(engines[:workers], seed, documents, length)
