"""A real history of updates, 217 thousand versions of 13 thousand documents: the store ends as from its last versions
alone.
"""

import json
import multiprocessing
import os
import subprocess
import time
from collections import Counter
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


def _open(config):
    """Open the store in a process of `_run`."""
    global _engine
    _engine = make_engine(config)


def _outcomes(entries):
    return [(version.id, version.outcome) for version in work(_engine, "documents", entries)]


def _run(config, entries, processes):
    """Store `entries` in batches; id → outcome. Each process takes the next batch when it has stored one."""
    outcomes = {}
    began = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(processes, _open, (config,)) as pool:
        for found in pool.imap_unordered(_outcomes, _batches(entries)):
            outcomes.update(found)
    assert len(outcomes) == len(entries)
    rate = len(entries) / (time.perf_counter() - began)
    print(f"\n{processes} processes: {rate:,.0f} documents/s,", Counter(map(str, outcomes.values())))
    return outcomes


def _snapshot(engine):
    settle(engine)
    with engine.connect() as connection:
        return snapshot(connection)


def _end_as_the_last_versions_alone(migrated_store_url, folder, entries, *processes):
    """Each number of processes stores all entries; then one process stores the last version of each document."""
    config = Settings(database_url=migrated_store_url, data_dir=folder)
    engine, ends = make_engine(config), []
    for count in processes:
        outcomes = _run(config, list(_shuffled(entries)), count)
        ends.append(_snapshot(engine))
        empty(engine)
    last = {entry.fields[b"key"]: entry for entry in entries if outcomes[entry.id] is not Outcome.REJECTED}
    alone = _run(config, sorted(last.values(), key=lambda entry: entry.id), 1)
    assert set(alone.values()) <= {Outcome.STORED, Outcome.RETRACTED}
    expected = _snapshot(engine)
    engine.dispose()
    for count, found in zip(processes, ends, strict=True):
        for part in expected:
            assert found[part] == expected[part], (count, part)
    assert len(expected["articles"]) > 100


def test_the_first_thousand_versions_end_as_the_last_version_of_each_document(migrated_store_url, tmp_path, lines):
    _end_as_the_last_versions_alone(migrated_store_url, tmp_path, lines(1000), 1)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("processes", [1, 3])
def test_the_first_twenty_thousand_versions_end_as_the_last_version_of_each_document(
    migrated_store_url, tmp_path, lines, processes
):
    _end_as_the_last_versions_alone(migrated_store_url, tmp_path, lines(20_000), processes)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_one_and_six_processes_end_equal_after_ninety_six_thousand_versions(migrated_store_url, tmp_path, lines):
    _end_as_the_last_versions_alone(migrated_store_url, tmp_path, lines(96_502), 1, 6)
