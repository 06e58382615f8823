"""A Redis that is out of memory refuses new values. Workers go on, because only settled documents give memory back."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from tests.support.runtime_hooks import article
from worker.activity.minute_counters import Counts, MinuteCounters, total
from worker.activity.stop_requests import request_stop, take_stop_request
from worker.queue import keys
from worker.queue.pauses.lane_pauses import Pause, pause, paused, resume, resumed
from worker.queue.pauses.source_pauses import pause_source, paused_sources, resume_source, resumed_sources
from worker.runtime import connections, tasks
from worker.runtime.supervision.admission_control import AdmissionControl
from worker.store import tables


@pytest.fixture
def full(redis_client):
    """`full()` makes the server refuse all that needs memory."""
    yield lambda: redis_client.config_set("maxmemory", 1)
    redis_client.config_set("maxmemory", 0)


def push(queue, *fields):
    ids = [queue.client.xadd("documents", each).decode() for each in fields]
    queue.dispatch(limit=100, pending_cap=100, max_bytes=1 << 20)
    return ids


def test_documents_with_reply_to_are_settled_and_announced(own_worker, full):
    client = own_worker.client
    ids = push(own_worker, *({"raw": article(n), "key": f"{n}", "reply_to": f"replies:{n % 2}"} for n in range(4)))
    full()
    tasks.ingest("documents", ids)
    assert client.xlen("documents") == 0
    assert own_worker.state().outcomes == {"stored": 4}
    announced = {fields[b"key"] for _, fields in client.xrange(keys.CHANGE_FEED)}
    assert announced == {b"0", b"1", b"2", b"3"}, "the change feed has no gap"


def test_documents_after_a_crash_and_oversized_ones_are_settled(own_worker, full):
    client = own_worker.client
    large = article(1, "x" * (connections.settings().max_document_bytes + 70_000))
    ids = [*push(own_worker, {"raw": large, "key": "large"}), *push(own_worker, {"raw": article(2), "key": "2"})]
    client.hset(own_worker.crash_reports, ids[1], '{"at": "", "where": "", "how": "signal 11"}')
    own_worker.claim("other:1", [ids[1]], lease_seconds=0, max_bytes=1 << 20)
    full()
    assert own_worker.reap(lease_seconds=0) == [(ids[0], 0), (ids[1], 1)]
    tasks.ingest("documents", ids)
    assert own_worker.state().outcomes == {"rejected": 1, "stored": 1}
    assert not client.hlen(own_worker.crash_reports)


def test_an_entry_whose_id_belonged_to_another_document_gets_a_new_id(own_worker, full):
    [id_] = push(own_worker, {"raw": article(1), "key": "1"})
    tasks.ingest("documents", [id_])
    with connections.engine().begin() as connection:
        connection.execute(update(tables.receipts).values(key="of another document"))
    own_worker.client.delete("documents")
    own_worker.ensure()
    own_worker.client.xadd("documents", {"raw": article(1), "key": "1"}, id=id_)
    own_worker.dispatch(limit=100, pending_cap=100, max_bytes=1 << 20)
    full()
    tasks.ingest("documents", [id_])
    assert own_worker.state().outcomes == {"stored": 1, "readded": 1}
    [(fresh, _)] = own_worker.dispatch(limit=100, pending_cap=100, max_bytes=1 << 20).entries
    tasks.ingest("documents", [fresh])
    assert own_worker.client.xlen("documents") == 0


def test_the_circuit_breaker_pauses_and_producers_are_slowed_down(own_worker, full):
    client = own_worker.client
    counts = Counts("documents", work_ms=1)
    counts.outcomes["mad", "rejected"] = 1000
    MinuteCounters(client).add(counts)
    full()
    control = AdmissionControl(connections.settings(), client, "host:1")
    control.check(consuming=True)
    assert [*paused_sources(client, "documents")] == ["mad"]
    assert client.get("copydesk:slow-down") is not None
    resume_source(client, "documents", "mad")
    control._pause_what_fails()
    assert paused_sources(client, "documents") == {}, "what was rejected before does not pause it again"


def test_throughput_is_counted(redis_client, full):
    full()
    counter = MinuteCounters(redis_client)
    counts = Counts("documents", work_ms=1)
    counts.outcomes["a", "stored"] = 2
    counter.add(counts)
    counter.sample({"documents": 5})
    found = total(counter.window(2))
    assert found.documents() == 2
    assert found.added == {"documents": 5}


def test_operators_pause_resume_and_stop(own_worker, full):
    client = own_worker.client
    full()
    assert pause(client, "documents", Pause("a", 0, "b"))
    assert not pause(client, "documents", Pause("c", 0, "d"))
    assert paused(client)["documents"].who == "a"
    assert resume(client, "documents")
    assert "documents" in resumed(client)
    assert pause_source(client, "documents", "s", Pause("a", 0, "b"))
    assert not pause_source(client, "documents", "s", Pause("c", 0, "d"))
    assert resume_source(client, "documents", "s")
    assert client.ttl(keys.resumed_sources("documents")) > 0
    assert "s" in resumed_sources(client, "documents")
    request_stop(client, "host:1", "me")
    assert take_stop_request(client, "host:1") == "me"


def test_maintenance_and_the_counts_of_sources_run_in_one_worker(own_worker, full, monkeypatch):
    runs = []
    monkeypatch.setattr(tasks, "roll_up_sources", lambda *args, **options: runs.append("counts"))
    monkeypatch.setattr(tasks, "fill_word_index", lambda *args, **options: None)
    prune = tasks.prune
    monkeypatch.setattr(tasks, "prune", lambda *args, **options: runs.append("maintenance") or prune(*args, **options))
    full()
    for _ in range(2):
        tasks.roll_up()
        tasks.maintain()
    assert runs == ["counts", "maintenance"]
    assert 0 < own_worker.client.ttl(keys.MAINTAINED) <= tasks.MAINTAIN_EVERY_SECONDS
