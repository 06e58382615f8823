"""How many round trips to PostgreSQL a batch needs, counted at the wire. Each costs the latency of the network, and those
under the writer lock cost it to every other process too.
"""

from dataclasses import dataclass

import pytest

from tests.benchmarks.generator import Generator
from tests.integration.store.store_driver import settle
from tests.support.wire import COUNTING_DELAY_SECONDS, Wire
from worker.documents.limits import Limits
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.engine import make_engine

PLAIN, WITH_REFERENCES, UNDER_THE_LOCK = 7, 7, 4
SMALL_AND_NEW, SMALL = 3, 4
_BATCH = 200


@dataclass
class _Store:
    """A PostgreSQL behind the wire, and a process that has stored a batch before: its connections are open."""

    wire: Wire
    engine: object
    sent: int = 0

    def store(self, entries):
        """Process (key, raw bytes or None for a retraction) as one batch; returns its round trips."""
        claimed = []
        for key, raw in entries:
            self.sent += 1
            fields = {b"source": b"wire", b"key": key.encode(), **({b"raw": raw} if raw else {b"op": b"retract"})}
            claimed.append(Claimed(f"{1_700_000_000_000 + self.sent}-0", 0, 100, fields, truncated=False))
        self.wire.round_trips(clear=True)
        process(self.engine, Batch("documents", None, "test", 3, Limits()), claimed, end_attempt=lambda: None)
        return self.wire.round_trips(clear=True)


@pytest.fixture
def store(migrated_postgres_url, tmp_path):
    with Wire(migrated_postgres_url) as wire:
        engine = make_engine(Settings(database_url=wire.url, data_dir=tmp_path), repeats=True)
        store = _Store(wire, engine)
        store.store(_entries(Generator(2).documents(_BATCH)))
        settle(engine)
        wire.delay_seconds = COUNTING_DELAY_SECONDS
        yield store
        engine.dispose()


def _entries(documents):
    return [(one.key, one.raw) for one in documents]


def _new():
    return _entries(Generator(1).documents(_BATCH))


def _locked(trips):
    """Return the round trips under the writer lock, of the transaction that has the most of them."""
    longest, current, last = [], [], None
    for trip in trips:
        is_beginning = any("pg_advisory_xact_lock" in text for text in trip.statements)
        if not trip.locked:
            current = []
        elif is_beginning or last != trip.connection:
            current = [trip]
        else:
            current.append(trip)
        last = trip.connection
        longest = max(longest, current, key=len)
    return longest


def _assert_at_most(most, trips):
    listing = "\n".join(f"{n}. {'locked ' if trip.locked else ''}{[' '.join(text.split())[:90] for text in trip.statements]}"
                        for n, trip in enumerate(trips, 1))  # fmt: skip
    assert trips, "nothing passed the wire"
    assert 1 <= len(_locked(trips)) <= UNDER_THE_LOCK, f"{len(_locked(trips))} under the lock:\n{listing}"
    assert len(trips) <= most, f"{len(trips)} round trips:\n{listing}"


def test_a_batch_of_new_documents_needs_few_round_trips(store):
    _assert_at_most(PLAIN, store.store(_new()))


def test_a_batch_of_updates_needs_few_round_trips(store):
    documents = Generator(1).documents(_BATCH)
    store.store(_entries(documents))
    updates = {one.key: one for one in Generator(1).updates(documents, 3 * _BATCH)}
    _assert_at_most(PLAIN, store.store(_entries(updates.values())))


def test_a_batch_of_updates_retractions_and_rejected_documents_needs_few_round_trips(store):
    documents = Generator(1).documents(_BATCH)
    store.store(_entries(documents))
    updates = _entries(Generator(1).updates(documents, _BATCH // 2))
    retracted = [(one.key, None) for one in documents[: _BATCH // 4]]
    broken = [(f"broken/{n}", b"---\ntitle: [\n---\n") for n in range(_BATCH // 4)]
    _assert_at_most(PLAIN, store.store([*updates, *retracted, *broken]))


def test_a_batch_that_is_delivered_again_needs_few_round_trips(store):
    store.store(_new())
    store.sent -= _BATCH
    _assert_at_most(PLAIN, store.store(_new()))


@pytest.mark.parametrize("count", [1, 60])
def test_a_batch_with_reference_documents_needs_few_round_trips(store, count):
    _assert_at_most(WITH_REFERENCES, store.store([*_new()[count:], *_entries(Generator(1).references(count))]))


@pytest.mark.parametrize(("count", "statements"), [(1, 31), (2, 31)])
def test_a_few_new_documents_are_stored_in_one_transaction(store, count, statements):
    """Each statement costs the client and the server some 0.15 ms."""
    trips = store.store(_new()[:count])
    _assert_at_most(SMALL_AND_NEW, trips)
    assert sum(len(trip.statements) for trip in trips) <= statements


@pytest.mark.parametrize("count", [1, 2])
def test_a_few_updates_are_stored_in_one_transaction(store, count):
    documents = Generator(1).documents(10)
    store.store(_entries(documents))
    updates = {one.key: one for one in Generator(1).updates(documents, 30)}
    _assert_at_most(SMALL, store.store(_entries(updates.values())[:count]))
