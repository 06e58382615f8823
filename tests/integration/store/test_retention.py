"""Deleting old rows at any time does not change the result of later documents."""

import threading
import time
from random import Random

import pytest

from schemas.receipt import Outcome
from tests.integration.store.histories import batches_of, history
from tests.integration.store.snapshot import broken_rules, snapshot
from tests.integration.store.store_driver import StoreDriver, alone, empty, settle, work
from worker.jobs.retention import prune
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.batches import writer
from worker.store.decide.unprepared import Unprepared
from worker.store.engine import make_engine

AT_ONCE = Settings(receipt_days=1e-9, raw_days=1e-9, orphan_days=1e-9)
"""Every row is old as soon as it is committed."""


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
def test_providers_and_topics_deleted_before_the_batch_has_the_lock_are_created_again(
    engines, front_matter, monkeypatch
):
    worker, operator = engines[0], engines[2]
    claimed = Claimed(
        "1700000000000-0", 0, 100, {b"source": b"s", b"raw": f"---\n{front_matter}\n---\n".encode()}, truncated=False
    )
    empty(worker)
    assert work(worker, "documents", [claimed])[0].outcome is Outcome.STORED
    expected = _state(worker)
    empty(worker)
    removed = []

    def delete_once(point):
        if point == "store.raw" and not removed:
            removed.append(prune(operator, AT_ONCE).rows)

    monkeypatch.setattr(writer, "failpoint", delete_once)
    monkeypatch.setattr(writer, "_SMALL_DOCUMENTS", 0)  # a small batch is prepared when it has the lock

    (version,) = work(worker, "documents", [claimed])

    assert removed[0] > 1, "a provider or a topic, and the raw bytes"
    assert version.outcome is Outcome.STORED
    assert _state(worker) == expected
    assert expected[1] == set()


def test_a_provider_deleted_while_the_batch_prepares_is_created_again(engines, monkeypatch):
    """Between the two statements that create and read it, which no test can reach from outside."""
    claimed = Claimed(
        "1700000000000-0", 0, 100, {b"source": b"s", b"raw": f"---\n{ARTICLE}\n---\n".encode()}, truncated=False
    )
    empty(engines[0])
    original, tries = writer.prepare, []

    def prepare(engine, items, now, **options):
        tries.append([content.title for content in options["more"]])
        if len(tries) == 1:
            raise Unprepared(contents=[items[0].copy])
        return original(engine, items, now, **options)

    monkeypatch.setattr(writer, "prepare", prepare)
    monkeypatch.setattr(writer, "_SMALL_DOCUMENTS", 0)

    assert work(engines[0], "documents", [claimed])[0].outcome is Outcome.STORED
    assert tries == [[], ["A"]]


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_histories_end_as_without_maintenance(engines):
    for seed in range(100, 1100):
        _maintenance_changes_nothing(engines, seed, workers=1 + seed % 2)
