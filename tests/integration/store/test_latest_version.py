"""The store is a function of the latest accepted version of each document alone."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, text

from tests.integration.store.histories import Put, batches_of, history
from tests.integration.store.snapshot import snapshot
from worker.document.limits import Limits
from worker.enrich.urls import document_hash
from worker.intake.stream import Claimed
from worker.pipeline import Batch, normal_key, process
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.migrate import upgrade
from worker.store.tables import metadata


def entry(number, event):
    fields = {b"source": event.source.encode()}
    if event.key:
        fields[b"key"] = event.key.encode()
    if isinstance(event, Put):
        fields[b"raw"] = event.text.encode()
    else:
        fields[b"op"] = b"retract"
    return Claimed(f"{1_700_000_000_000 + number}-0", 0, 100, fields, truncated=False)


def run(engine, batches):
    for batch in batches:
        if batch:
            process(
                engine,
                Batch("documents", None, "test", 3, Limits()),
                batch,
                innocent=lambda: None,
                digest=lambda *_: "",
            )
    with engine.connect() as connection:
        return snapshot(connection)


def empty(engine):
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("TRUNCATE " + ", ".join(metadata.tables) + " CASCADE"))
        else:
            for table in reversed(metadata.sorted_tables):
                connection.execute(delete(table))


def identity(event):
    key = normal_key(event.key) if event.key else event.url
    return document_hash(event.source, key)


@pytest.fixture(scope="module")
def engine(module_store_url, tmp_path_factory):
    config = Settings(database_url=module_store_url, data_dir=tmp_path_factory.mktemp("data"))
    upgrade(config)
    engine = make_engine(config)
    yield engine
    engine.dispose()


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 14))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_order_and_redelivery_ends_as_the_latest_versions_alone(engine, seed, documents, length):
    random = Random(seed)
    events = history(random, documents=documents, length=length)
    empty(engine)
    found = run(engine, [[entry(n, event) for n, event in batch.items()] for batch in batches_of(random, events)])
    latest = {identity(event): (n, event) for n, event in enumerate(events)}
    empty(engine)
    expected = run(engine, [[entry(n, event)] for n, event in sorted(latest.values(), key=lambda pair: pair[0])])
    assert found == expected
