"""A real history of updates, 217 thousand versions of 13 thousand documents: the store ends as from its last versions
alone.
"""

import json
import os
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from schemas.receipt import Outcome
from tests.integration.store.snapshot import snapshot
from tests.integration.store.store_driver import empty, settle, work
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.engine import make_engine

_WINDOW, _BATCH = 1000, 100


@pytest.fixture(scope="module")
def lines():
    """`lines(n)`: the first n lines of the history, as they are claimed from a stream."""
    folder = os.environ.get("COPYDESK_TEST_CORPUS")
    path = Path(folder or "", "diablo4-history.jsonl.zst")
    if not folder or not path.exists():
        pytest.skip("diablo4-history.jsonl.zst is not in the folder COPYDESK_TEST_CORPUS")

    def first(count):
        try:
            process = subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE)
        except FileNotFoundError:
            pytest.skip("the command zstd is missing")
        with process:
            found = [_entry(n, json.loads(line)) for n, line in enumerate(islice(process.stdout, count))]
            process.kill()
        assert len(found) == count
        return found

    return first


def _entry(number, line):
    fields = {b"source": b"history", b"key": line["path"].encode()}
    if line["deleted"]:
        fields[b"op"] = b"retract"
    else:
        fields[b"raw"] = line["raw"].encode()
    return Claimed(f"{1_700_000_000_000 + number}-0", 0, 100, fields, truncated=False)


def _batches(entries):
    return [entries[start : start + _BATCH] for start in range(0, len(entries), _BATCH)]


def _shuffled(entries):
    random = Random(4)
    for start in range(0, len(entries), _WINDOW):
        window = entries[start : start + _WINDOW]
        yield from random.sample(window, len(window))


def _run(engines, entries):
    """Process `entries` in batches, with a worker for each engine; id → outcome."""
    outcomes = {}

    def batch(number_and_entries):
        number, entries = number_and_entries
        for version in work(engines[number % len(engines)], "documents", entries):
            outcomes[version.id] = version.outcome

    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(batch, enumerate(_batches(entries))))
    return outcomes


def _snapshot(engine):
    settle(engine)
    with engine.connect() as connection:
        return snapshot(connection)


def _ends_as_its_last_versions_alone(migrated_store_url, folder, entries, workers):
    config = Settings(database_url=migrated_store_url, data_dir=folder)
    engines = [make_engine(config) for _ in range(workers)]
    began = time.perf_counter()
    outcomes = _run(engines, list(_shuffled(entries)))
    seconds = time.perf_counter() - began
    assert len(outcomes) == len(entries)
    print(
        f"\n{engines[0].dialect.name}, {workers} workers: {len(entries) / seconds:,.0f} documents/s,",
        dict(Counter(map(str, outcomes.values()))),
    )
    found = _snapshot(engines[0])
    last = {entry.fields[b"key"]: entry for entry in entries if outcomes[entry.id] is not Outcome.REJECTED}
    empty(engines[0])
    alone = _run(engines[:1], sorted(last.values(), key=lambda entry: entry.id))
    assert set(alone.values()) <= {Outcome.STORED, Outcome.RETRACTED}
    expected = _snapshot(engines[0])
    for engine in engines:
        engine.dispose()
    for part in expected:
        assert found[part] == expected[part], part
    assert len(expected["articles"]) > 100


def test_the_first_thousand_versions_end_as_the_last_version_of_each_document(migrated_store_url, tmp_path, lines):
    _ends_as_its_last_versions_alone(migrated_store_url, tmp_path, lines(1000), 1)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_twenty_thousand_versions_end_as_the_last_version_of_each_document(
    migrated_store_url, tmp_path, lines, workers
):
    _ends_as_its_last_versions_alone(migrated_store_url, tmp_path, lines(20_000), workers)
