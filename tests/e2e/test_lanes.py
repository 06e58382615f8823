"""Lanes: a full lane does not delay another, weights are respected, a lane may fix its source, replies go only to
allowed streams.
"""

from __future__ import annotations

import time

import pytest

from tests.support.servers import Background, until
from worker.producer.client import Producer
from worker.queue.connection import connect
from worker.queue.lease_queue import LeaseQueue
from worker.settings import embedded_redis_url

LANES = "documents=4,documents:bulk=1,documents:agency=1@agency"


def document(name):
    return f"---\ntitle: {name}\nwebUrl: https://harbour-courier.example/{name}\n---\nThe text of {name}.\n"


@pytest.fixture(scope="module")
def installation(tmp_path_factory, migrated_sqlite):
    folder = tmp_path_factory.mktemp("lanes")
    migrated_sqlite(folder / ".copydesk" / "copydesk.db")
    with Background("up", cwd=folder, COPYDESK_LANES=LANES, COPYDESK_SLOW_DOWN_BACKLOG="2000") as up:
        up.says("serves the lanes")
        url = embedded_redis_url(folder / ".copydesk")
        with connect(url) as client:
            until(lambda: client.exists("copydesk:slow-down"), what="the worker is at work")
            yield url, client, up


def test_a_lane_fixes_its_source(installation):
    url, _, _ = installation
    with Producer(url, lane="documents:agency", source="liar") as producer:
        receipt = producer.wait(producer.submit(document("a")))
    assert (receipt.source, receipt.outcome) == ("agency", "stored")


def test_a_reply_that_cannot_be_written_affects_only_its_sender(installation):
    url, client, up = installation
    client.set("replies:taken", "no stream")
    with Producer(url, lane="documents") as producer:
        for reply_to in ("replies:taken", "documents", "copydesk:internal", "replies:" + "x" * 300):
            client.xadd("documents", {"raw": document("hostile"), "reply_to": reply_to})
        assert producer.wait(producer.submit(document("honest"))).outcome == "stored"
    up.says("Receipts could not be added to reply_to")
    assert client.get("replies:taken") == b"no stream"
    assert client.xlen("copydesk:internal") == 0
    until(lambda: client.xlen("documents") == 0, what="all are settled")
    outcomes = LeaseQueue(client, "documents").state().outcomes
    assert outcomes["rejected"] == 3


def test_a_reply_stream_is_capped_and_expires(installation):
    url, client, _ = installation
    with Producer(url, lane="documents:bulk") as producer:
        producer.wait(producer.submit(document("b")))
        assert 3500 < client.ttl(producer.replies) <= 3600


@pytest.mark.timeout(300)
def test_ten_documents_of_one_lane_overtake_thousands_of_another(installation, record_property):
    url, client, _ = installation
    queues = {name: LeaseQueue(client, name) for name in ("documents", "documents:bulk")}
    for lane, count in (("documents:bulk", 3_000), ("documents", 10_000)):
        with Producer(url, lane=lane, polite=False, receipts=False) as flood:
            assert len(list(flood.submit_many(document(f"{lane[-4:]}-{n}") for n in range(count)))) == count
    before = {name: queue.state().settled for name, queue in queues.items()}
    with Producer(url, lane="documents:agency") as producer:
        started = time.monotonic()
        ids = [producer.submit(document(f"late-{n}")) for n in range(10)]
        receipts = producer.wait_many(ids, timeout=120)
        seconds = time.monotonic() - started
    assert {receipt.outcome for receipt in receipts.values()} == {"stored"}
    assert client.xlen("documents") > 5_000, "the flood was still there"
    assert client.xlen("documents:bulk") > 500
    record_property("seconds", round(seconds, 2))
    assert seconds < 20, "within seconds; in a quiet machine about one"
    slowed = "copydesk:slow-down:documents"
    until(lambda: float(client.get(slowed) or 0) >= 3, seconds=20, what="the next beat tells the flood to wait")
    assert float(client.get("copydesk:slow-down:documents:agency")) == 0
    until(
        lambda: queues["documents"].state().settled - before["documents"] > 1000,
        what="the flood goes down",
    )
    done = {name: queue.state().settled - before[name] for name, queue in queues.items()}
    assert done["documents"] > 1.8 * done["documents:bulk"] > 0, f"weights 4 and 1: {done}"
    print(f"ten documents in {seconds:.2f} s beside 10,000; done meanwhile: {done}")
