"""An entry of the internal lane with values that no worker wrote is a dead letter, and never an outage of the store."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.exc import DataError

from tests.support.runtime_hooks import article
from worker.queue.lease_queue import LeaseQueue
from worker.runtime import connections, ingestion, tasks
from worker.settings import INTERNAL_LANE, Settings
from worker.store.decide.identity import revision
from worker.store.tables import dead_letters, raw_documents
from worker.store.tables import receipts as receipts_table

GOOD = {"raw": article(1), "source": "s", "revision": revision("5-0", "documents")}
MISFIT = {"raw": "{}", "problem": json.dumps({"code": "not_a_task", "severity": "error", "message": "no task"})}
ODD = {
    "a long revision": {**GOOD, "revision": "9" * 300, "reprocess": "1"},
    "a revision that is no number": {**GOOD, "revision": "r", "reprocess": "1"},
    "a revision with a control character": {**GOOD, "revision": GOOD["revision"] + "\x00", "reprocess": "1"},
    "a pipeline version beyond 32 bits": {**GOOD, "reprocess": "2147483648"},
    "a negative pipeline version": {**GOOD, "reprocess": "-1"},
    "a dead letter beyond 64 bits": {**GOOD, "dead_letter": "9223372036854775808"},
    "a dead letter of 5,000 digits": {**GOOD, "dead_letter": "9" * 5000},
    "a dead letter with an underscore": {**GOOD, "dead_letter": "1_0"},
    "a dead letter in another script": {**GOOD, "dead_letter": "٣"},
    "neither a dead letter nor a pipeline version": GOOD,
    "a problem with NUL": {**MISFIT, "problem": MISFIT["problem"].replace("no task", "a\\u0000b")},
    "a problem with NUL in a field that is never quoted": {**MISFIT, "problem": json.dumps(
        {"code": "not_a_task", "severity": "error", "message": "m", "expected": "\x00"})},
    "a problem with an unknown code": {**MISFIT, "problem": MISFIT["problem"].replace("not_a_task", "x" * 10_000)},
    "a problem that is a warning": {**MISFIT, "problem": MISFIT["problem"].replace('"error"', '"warning"')},
    "a problem of a warning's code": {**MISFIT, "problem": MISFIT["problem"].replace("not_a_task", "too_many_items")},
    "a line of 4,000 digits": {**MISFIT, "problem": MISFIT["problem"][:-1] + ', "line": ' + "9" * 4000 + "}"},
    "a size beyond 64 bits": {**MISFIT, "raw_size": "9223372036854775808", "sha256": "00" * 32},
    "a negative size": {**MISFIT, "raw_size": "-5", "sha256": "00" * 32},
    "a digest of one byte": {**MISFIT, "raw_size": "70000", "sha256": "00"},
    "a digest of 1,000 bytes": {**MISFIT, "raw_size": "70000", "sha256": "00" * 1000},
}  # fmt: skip


@pytest.fixture(scope="module")
def worker(module_store_url, valkey, tmp_path_factory):
    """This process as a worker of one store of each kind."""
    config = Settings(redis_url=valkey.url, database_url=module_store_url, data_dir=tmp_path_factory.mktemp("data"))
    caches = (connections.engine, connections.client, connections.queue, connections.rules)
    for cache in caches:
        cache.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        for module in (connections, ingestion, tasks):
            patch.setattr(module, "settings", lambda: config)
        yield connections.engine()
        connections.engine().dispose()
        connections.client().close()
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def queue(redis_client, worker):
    queue = LeaseQueue(redis_client, INTERNAL_LANE)
    queue.ensure()
    with worker.begin() as connection:
        for table in (receipts_table, dead_letters, raw_documents):
            connection.execute(delete(table))
    return queue


def ingest(queue, *entries):
    ids = [queue.client.xadd(INTERNAL_LANE, fields).decode() for fields in entries]
    queue.dispatch(limit=10, pending_cap=10, max_bytes=1 << 26)
    tasks.ingest(INTERNAL_LANE, ids)
    return ids


def outcomes(engine):
    with engine.connect() as connection:
        return {row.id: row.outcome for row in connection.execute(select(receipts_table))}


def dead_letter_of(engine, id_):
    with engine.connect() as connection:
        return connection.execute(select(dead_letters).where(dead_letters.c.receipt_id == id_)).one_or_none()


def check(engine, queue, odd):
    """An entry is settled with the ones around it; unless it is one that a worker could have written, it is rejected."""
    good = {**GOOD, "reprocess": "1"}
    ids = ingest(queue, good, odd, good)
    found = outcomes(engine)
    assert sorted(ids) == sorted(id_ for id_ in ids if id_ in found), "each has its outcome"
    assert {found[ids[0]], found[ids[2]]}.isdisjoint({"rejected"})
    assert queue.state().backlog == 0
    return ids[1], found[ids[1]]


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_values_of_an_internal_entry_are_a_dead_letter_with_its_own_revision(worker, queue, odd):
    id_, outcome = check(worker, queue, odd)
    assert outcome == "rejected"
    dead_letter = dead_letter_of(worker, id_)
    assert dead_letter.code == "internal_error"
    assert dead_letter.revision == revision(id_, INTERNAL_LANE)
    assert all(
        len(text) < 500 for problem in dead_letter.problems for text in problem.values() if isinstance(text, str)
    )


NUMBERS = st.one_of(st.integers(), st.integers(2**30, 2**65), st.text(max_size=30)).map(str)
REVISIONS = st.one_of(
    st.text(max_size=300), st.from_regex(r"[0-9]{19,21}-[0-9]{19,21}:.{0,120}(#[0-9]{0,6})?", fullmatch=True)
)
PROBLEMS = st.fixed_dictionaries(
    {"code": st.sampled_from(["not_a_task", "too_many_items", "é"]), "severity": st.sampled_from(["error", "warning"]), "message": st.text()},
    optional={"field": st.text(), "line": st.integers(), "column": st.integers(), "expected": st.text(), "value": st.text()},
).map(json.dumps)  # fmt: skip
ENTRIES = st.fixed_dictionaries({}, optional={
    "raw": st.one_of(st.just(article(2)), st.binary(max_size=50)), "source": st.text(max_size=210), "key": st.text(max_size=30),
    "op": st.sampled_from(["put", "retract", "x"]), "reply_to": st.text(max_size=20), "traceparent": st.text(max_size=60),
    "revision": REVISIONS, "dead_letter": NUMBERS, "reprocess": NUMBERS, "problem": st.one_of(PROBLEMS, st.text()),
    "raw_size": NUMBERS, "sha256": st.one_of(st.text(), st.binary(max_size=70).map(bytes.hex)), "x": st.text(),
}).filter(bool)  # fmt: skip


@given(odd=ENTRIES)
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_fields_of_an_internal_entry_have_an_outcome(worker, queue, odd):
    check(worker, queue, {name: _bytes(value) for name, value in odd.items()})


def _bytes(value):
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


@pytest.mark.parametrize(
    "error",
    [OverflowError("int too large to convert"), DataError("", None, ValueError("22001")), KeyError("a bug")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("tries", [2, 9], ids=["the bare dead letter can be stored", "nothing can be stored"])
def test_an_entry_that_no_store_accepts_is_never_lost_and_the_others_are_stored(
    worker, queue, monkeypatch, caplog, error, tries
):
    """`tries`: how often the store refuses the entry when it is alone."""
    original, left = ingestion.process, [tries]

    def process(engine, batch, entries, **options):
        if any(b"trace_me" in entry.fields[b"raw"] for entry in entries):
            left[0] -= len(entries) == 1
            if left[0] >= 0:
                raise error
        return original(engine, batch, entries, **options)

    monkeypatch.setattr(ingestion, "process", process)
    good = {**GOOD, "reprocess": "1"}
    with caplog.at_level(logging.ERROR):
        first, odd, last = ingest(queue, good, {**good, "raw": article(3, "note: trace_me")}, good)
    found = outcomes(worker)
    assert {first, last} <= found.keys()
    assert queue.state().backlog == (0 if tries == 2 else 1), "an entry without an outcome stays on its lane"
    if tries == 2:
        assert queue.state().outcomes["rejected"] == 1
        assert found[odd] == "rejected"
        assert dead_letter_of(worker, odd).revision == revision(odd, INTERNAL_LANE)
    else:
        assert odd not in found
