"""Deleting old rows at any time does not change the result of later documents."""

import hashlib
import threading
import time
from datetime import UTC, datetime
from random import Random

import pytest
from sqlalchemy import insert

from schemas.receipt import Outcome
from tests.integration.store.histories import batches_of, history
from tests.integration.store.snapshot import broken_rules, snapshot
from tests.integration.store.store_driver import StoreDriver, alone, empty, settle, work
from worker.jobs.retention import prune
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.batches import writer
from worker.store.engine import make_engine, writing
from worker.store.tables import providers, raw_documents, topics

AT_ONCE = Settings(receipt_days=1e-9, raw_days=1e-9, orphan_days=1e-9)
"""Every row is old as soon as it is committed."""
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def engines(module_store_url, tmp_path_factory):
    config = Settings(database_url=module_store_url, data_dir=tmp_path_factory.mktemp("data"))
    engines = [make_engine(config) for _ in range(3)]
    yield engines
    for engine in engines:
        engine.dispose()


def _state(engine):
    settle(engine)
    with engine.connect() as connection:
        return snapshot(connection), broken_rules(engine)


class Sweeper(threading.Thread):
    """Deletes old rows without a pause until it is stopped."""

    def __init__(self, engine, turn):
        super().__init__(daemon=True)
        self._engine, self._turn = engine, turn
        self._ended = threading.Event()
        self.removed = 0
        self.trouble = None

    def run(self):
        try:
            while not self._ended.is_set():
                with self._turn:
                    self.removed += prune(self._engine, AT_ONCE).rows
                time.sleep(0.001)  # a lock is not fair: others must get their turn
        except Exception as error:
            self.trouble = error

    def stop(self):
        self._ended.set()
        self.join(timeout=30)
        assert self.trouble is None, self.trouble
        return self.removed


def _maintenance_changes_nothing(engines, seed, *, workers):
    random = Random(seed)
    events = history(random, documents=random.randint(2, 6), length=random.randint(6, 16))
    batches = batches_of(random, events)
    empty(engines[0])
    driver = StoreDriver(random, events, batches)
    sweeper = Sweeper(engines[2], driver.edit_lock)
    sweeper.start()
    driver.run(*engines[:workers])
    removed = sweeper.stop() + prune(engines[2], AT_ONCE).rows
    found, broken = _state(engines[0])
    empty(engines[0])
    alone(engines[0], events)
    expected, _ = _state(engines[0])
    assert found == expected
    assert broken == set()
    return removed


def test_a_history_ends_as_without_maintenance(engines):
    removed = [_maintenance_changes_nothing(engines, seed, workers=1 + seed % 2) for seed in range(2)]

    assert all(removed), "each history left something behind that went"


ARTICLE = "title: A\nwebUrl: https://a.example/1\nprovider: {domain: paper.example}\ntopics: [B]"
ORGANIZATION = "taxonomy: organization\n_id: paper.example\nname: Paper\ndescription: A daily."
TERM = "taxonomy: term\nname: B\nkeywords: [bee]"


@pytest.mark.parametrize("front_matter", [ARTICLE, ORGANIZATION, TERM], ids=["article", "organization", "term"])
def test_rows_deleted_before_the_batch_has_the_lock_are_created_again(engines, front_matter, monkeypatch):
    """Raw bytes, a provider and a topic that nobody has needed for long: the batch needs them."""
    worker, operator = engines[0], engines[2]
    raw = f"---\n{front_matter}\n---\n".encode()
    claimed = Claimed("1700000000000-0", 0, 100, {b"source": b"s", b"raw": raw}, truncated=False)
    empty(worker)
    assert work(worker, "documents", [claimed])[0].outcome is Outcome.STORED
    expected = _state(worker)
    empty(worker)
    with writing(operator) as connection:
        seen = {"sha256": hashlib.sha256(raw).digest(), "size": len(raw), "bytes": raw, "last_seen_at": LONG_AGO}
        connection.execute(insert(raw_documents).values(seen))
        connection.execute(insert(providers).values(domain="paper.example", other_names=[]))
        connection.execute(insert(topics).values(slug="b", name="B"))
    removed = []

    def delete_once(point):
        if point == "store.begun" and not removed:
            removed.append(prune(operator, AT_ONCE).rows)

    monkeypatch.setattr(writer, "failpoint", delete_once)

    (version,) = work(worker, "documents", [claimed])

    assert removed == [3], "the raw bytes, the provider and the topic"
    assert version.outcome is Outcome.STORED
    assert _state(worker) == expected
    assert expected[1] == set()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_histories_end_as_without_maintenance(engines):
    for seed in range(100, 1100):
        _maintenance_changes_nothing(engines, seed, workers=1 + seed % 2)
