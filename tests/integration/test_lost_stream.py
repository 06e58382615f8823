"""The server loses its data or is restored from an older file, and ids repeat: no document is taken for another."""

import time

import pytest
from sqlalchemy import select

from schemas.receipt import Receipt
from worker.documents.limits import Limits
from worker.pipeline import Batch, process
from worker.producer.client import submit_entry
from worker.queue.lease_queue import LeaseQueue, id_key
from worker.runtime.batch_report import announce
from worker.store.receipts import highest_id
from worker.store.tables import articles, receipts

ID = "1700000000000-7"


@pytest.fixture
def queue(redis_client):
    queue = LeaseQueue(redis_client, "documents")
    queue.ensure()
    return queue


def document(title):
    return f"---\ntitle: {title}\nwebUrl: https://lost.example/{title}\n---\n"


def ingest(engine, queue):
    """Do one cycle of the worker: dispatch, claim, process, settle."""
    ids = [id_ for id_, _ in queue.dispatch(limit=10, pending_cap=100, max_bytes=1 << 20).entries]
    entries = queue.claim("w", ids, lease_seconds=60, max_bytes=1 << 20)
    versions = process(engine, Batch(queue.lane, None, "w", 3, Limits()), entries, end_attempt=lambda: None)
    for version in versions:
        if version.id_conflict:
            queue.requeue(version.id)
        else:
            queue.settle([(version.id, str(version.outcome))])
    return versions


def outcomes(engine):
    with engine.connect() as connection:
        return {row.id: row.outcome for row in connection.execute(select(receipts))}


def test_a_repeated_id_with_another_document_is_added_under_a_new_id(engine, queue, redis_client):
    redis_client.xadd(queue.lane, {"raw": document("first")}, id=ID)
    ingest(engine, queue)
    redis_client.flushall()
    queue.ensure()
    redis_client.xadd(queue.lane, {"raw": document("second"), "reply_to": "replies:me"}, id=ID)
    ingest(engine, queue)
    again = ingest(engine, queue)

    assert [str(version.outcome) for version in again] == ["stored"]
    assert again[0].id != ID
    with engine.connect() as connection:
        assert set(connection.scalars(select(articles.c.title))) == {"first", "second"}
    state = queue.state()
    assert state.added == state.settled + state.backlog
    announce(redis_client, Batch(again[0].lane, None, "w", 3, Limits()), again)
    ((_, fields),) = redis_client.xrange("replies:me")
    receipt = Receipt.model_validate_json(fields[b"receipt"])
    assert (receipt.id, receipt.readded_as) == (ID, again[0].id), "whoever waits for the first id is told"


def test_a_repeated_id_with_the_same_document_keeps_its_receipt(engine, queue, redis_client):
    for _ in range(2):
        redis_client.flushall()
        queue.ensure()
        redis_client.xadd(queue.lane, {"raw": document("same")}, id=ID)
        ingest(engine, queue)
    assert outcomes(engine) == {ID: "stored"}


@pytest.mark.parametrize("second", [
    {"op": "retract", "key": "1", "source": "another"}, {"op": "retract", "key": "2", "source": "sent"},
    {"raw": document("first"), "key": "1", "source": "sent"}, {"raw": document("second"), "key": "1", "source": "sent"},
], ids=["source", "key", "op", "document"])  # fmt: skip
def test_a_repeated_id_of_a_retraction_belongs_to_another_entry(engine, queue, redis_client, second):
    for fields in ({"op": "retract", "key": "1", "source": "sent"}, second):
        redis_client.flushall()
        queue.ensure()
        redis_client.xadd(queue.lane, fields, id=ID)
        [version] = ingest(engine, queue)
    assert version.id_conflict
    [version] = ingest(engine, queue)
    assert not version.id_conflict
    assert len(outcomes(engine)) == 2


def test_a_lane_whose_ids_are_behind_the_store_is_advanced(engine, queue, redis_client):
    redis_client.xadd(queue.lane, {"raw": document("first")}, id=ID)
    ingest(engine, queue)
    redis_client.flushall()
    queue.ensure()
    with engine.connect() as connection:
        known = highest_id(connection, queue.lane)
    assert known == ID
    assert queue.advance(known)
    assert not queue.advance(known)
    assert id_key(submit_entry(redis_client, queue.lane, b"x")) > id_key(ID)


def test_an_id_from_the_future_is_remembered_as_of_its_dispatch(engine, queue, redis_client):
    redis_client.xadd(queue.lane, {"raw": document("far")}, id="9999999999999-0")
    ingest(engine, queue)
    with engine.connect() as connection:
        assert abs(id_key(highest_id(connection, queue.lane))[0] / 1000 - time.time()) < 60
