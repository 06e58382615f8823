"""Lanes and sources paused by an operator and by the circuit breaker; health reports them."""

from __future__ import annotations

import json
import time

import pytest
import redis

from tests.support.runtime_hooks import SHORT, article
from tests.support.servers import Background, copydesk, until
from worker.activity.heartbeats import workers
from worker.queue.lease_queue import LeaseQueue
from worker.queue.pauses.lane_pauses import Pause, pause, paused, resume
from worker.queue.pauses.source_pauses import paused_sources
from worker.runtime import tasks  # noqa: F401  registers the tasks
from worker.runtime.app import app
from worker.runtime.dispatch.dispatcher import DispatchLoop
from worker.settings import Settings


def test_a_paused_lane_keeps_its_entries_and_the_breaker_pauses_a_flooded_one(
    settings, redis_client, receipts, tmp_path
):
    settings = {**settings, "COPYDESK_LANES": "documents=4,bulk", "COPYDESK_BREAKER_DOCUMENTS": "100"}

    def lane(*arguments):
        return copydesk("lane", *arguments, cwd=tmp_path, **settings)

    health = copydesk("health", "--json", cwd=tmp_path, **settings)
    assert health.returncode == 4
    assert json.loads(health.stdout)["reasons"] == [
        "no worker has sent a heartbeat for 10 s: start one with copydesk worker (or copydesk up)"
    ]

    assert lane("pause", "bulk", "--reason", "not tonight").returncode == 0
    with Background("worker", "--concurrency", "1", cwd=tmp_path, **settings):
        # Two streams may give the same id in the same millisecond; this test tells receipts apart by id.
        waiting = redis_client.xadd("bulk", {"raw": article(1), "key": "1"}, id="1-1").decode()
        served = redis_client.xadd("documents", {"raw": article(2), "key": "2"}).decode()
        until(lambda: served in receipts(), what="the other lane is served")
        until(lambda: [w for w in workers(redis_client) if w.is_consuming], what="it says that it consumes")
        health = copydesk("health", "--json", cwd=tmp_path, **settings)
        assert health.returncode == 0, health.stdout
        found = json.loads(health.stdout)
        assert found["health"] == "degraded"
        assert "lane bulk is paused" in found["reasons"][0]
        assert "not tonight" in found["reasons"][0]
        (shown,) = (json.loads(line) for line in lane("list", "--json").stdout.splitlines() if "bulk" in line)
        assert (shown["backlog"], shown["pending"], shown["paused"]["why"]) == (1, 0, "not tonight")
        time.sleep(2)
        assert waiting not in receipts()
        assert "is resumed" in lane("resume", "bulk").stdout
        until(lambda: waiting in receipts(), what="it is served again")
        assert "was not paused" in lane("resume", "bulk").stdout
        assert lane("pause", "nonsense").returncode == 2

        flood(redis_client, "mad")
        held = until(lambda: paused_sources(redis_client, "documents").get("mad"), what="the breaker pauses it")
        assert held.by == "breaker"
        assert "no_front_matter" in held.why
        assert "most from mad" in held.why
        assert paused(redis_client) == {}

        def recorded():
            lines = copydesk("actions", "--json", "--who", "breaker", cwd=tmp_path, **settings).stdout.splitlines()
            return [json.loads(line) for line in lines]

        (action,) = until(recorded, what="the pause is recorded")
        assert (action["via"], action["action"]) == ("worker", "lane pause")
        assert (action["subject"], action["reason"]) == ("source mad of lane documents", held.why)
        silent = redis_client.xadd("documents", {"raw": article(5), "source": "mad", "key": "5"}).decode()
        good = redis_client.xadd("documents", {"raw": article(3), "source": "good", "key": "3"}).decode()
        time.sleep(0.01)  # otherwise two streams may give the same id
        elsewhere = redis_client.xadd("bulk", {"raw": article(5), "source": "mad", "key": "5"}).decode()
        until(lambda: {good, elsewhere} <= receipts().keys(), what="other sources, and its name on another lane, go on")
        assert silent not in receipts()
        (shown,) = (json.loads(line) for line in lane("list", "--json").stdout.splitlines() if '"bulk"' not in line)
        assert [(one["source"], one["documents"]) for one in shown["paused_sources"]] == [("mad", 1)]
        assert (shown["backlog"], shown["pending"]) == (1, 0)
        health = copydesk("health", "--json", cwd=tmp_path, **settings)
        (reason,) = (one for one in json.loads(health.stdout)["reasons"] if "is paused" in one)
        assert reason.endswith("1 of its documents wait: copydesk lane resume documents --source mad")
        drained = copydesk("status", "--wait-drained", "--timeout", "20", cwd=tmp_path, **settings)
        assert "1 wait on paused lanes or of paused sources" in drained.stderr
        assert "source mad of lane documents is resumed" in lane("resume", "documents", "--source", "mad").stdout
        until(lambda: silent in receipts(), what="it is served again")
        assert receipts()[silent].outcome == "superseded", (
            "it keeps the revision of its arrival, and the newer one is stored"
        )


def test_a_paused_lane_is_drained_although_a_worker_was_killed(settings, redis_client, receipts, tmp_path):
    queue = LeaseQueue(redis_client, "documents")
    queue.ensure()
    id_ = redis_client.xadd("documents", {"raw": article(1), "key": "1"}).decode()
    queue.dispatch(limit=10, pending_cap=10, max_bytes=1 << 20)
    assert queue.claim("another-host:1", [id_], lease_seconds=4, max_bytes=1 << 20)
    assert pause(redis_client, "documents", Pause("test", 0, "upgrade"))
    settings = {**settings, **SHORT}
    with Background("worker", "--concurrency", "1", cwd=tmp_path, **settings):
        drained = copydesk("status", "--wait-drained", "--timeout", "60", cwd=tmp_path, **settings)
        assert drained.returncode == 0, drained.stderr
        assert "nothing is in flight, 1 wait on paused lanes" in drained.stderr
        assert receipts() == {}
        resume(redis_client, "documents")
        until(lambda: id_ in receipts(), what="it is processed")
        until(lambda: redis_client.xlen("documents") == 0, what="it is settled")


def flood(client, source):
    for number in range(150):
        client.xadd("documents", {"raw": "no front matter", "source": source, "key": str(number)})


@pytest.mark.parametrize("words", [
    ("--source", "x" * 201), ("--source", ""), ("--source", "a\nb"),
], ids=["long", "empty", "a control character"])  # fmt: skip
def test_a_name_that_no_source_can_have_is_refused(settings, tmp_path, words):
    refused = copydesk("lane", "pause", "documents", *words, cwd=tmp_path, **settings)
    assert (refused.returncode, "1 to 200 characters" in refused.stderr) == (2, True), refused.stderr


def test_a_lane_with_one_source_is_paused_as_a_whole(settings, redis_client, tmp_path):
    settings = {**settings, "COPYDESK_LANES": "documents=4,own@agency", "COPYDESK_BREAKER_DOCUMENTS": "100"}
    refused = copydesk("lane", "pause", "own", "--source", "agency", cwd=tmp_path, **settings)
    assert (refused.returncode, "pause the lane" in refused.stderr) == (2, True)
    with Background("worker", "--concurrency", "1", cwd=tmp_path, **settings):
        for number in range(150):
            redis_client.xadd("own", {"raw": "no front matter", "source": "somebody", "key": str(number)})
        until(lambda: paused(redis_client).get("own"), what="the breaker pauses the lane")
    assert paused_sources(redis_client, "own") == {}


def test_a_full_redis_is_drained_and_accepts_documents_again(settings, redis_client, receipts, tmp_path):
    with Background("worker", "--concurrency", "1", cwd=tmp_path, **settings) as worker:
        until(lambda: [w for w in workers(redis_client) if w.is_consuming], what="it consumes")
        assert pause(redis_client, "documents", Pause("test", 0, "until it is full"))
        until(lambda: [w for w in workers(redis_client) if w.state == "paused"], what="it is paused")
        redis_client.config_set("maxmemory", redis_client.info("memory")["used_memory"] + (2 << 20))
        try:
            count = fill(redis_client)
            until(lambda: "Redis uses" in worker.text(), what="it says so")
            resume(redis_client, "documents")
            until(lambda: redis_client.xlen("documents") == 0, what="all are settled")
            assert len(receipts()) == count > 10
            redis_client.xadd("documents", {"raw": article(5000), "key": "5000"})
            until(lambda: len(receipts()) == count + 1, what="it goes on")
        finally:
            redis_client.config_set("maxmemory", 0)


def fill(client):
    """Send documents until the server accepts no more; returns how many it accepted."""
    for number in range(2000):
        try:
            fields = {"raw": article(number, "x" * 20_000), "key": str(number), "reply_to": f"replies:{number}"}
            client.xadd("documents", fields)
        except redis.exceptions.OutOfMemoryError:
            return number
    raise AssertionError("it never was full")


def test_a_full_disk_is_noticed_before_the_first_document_is_dispatched(settings, redis_client, valkey, tmp_path):
    """The supervision thread, which checks the capacity later, does not run here."""
    redis_client.xadd("documents", {"raw": article(1), "key": "1"})
    config = Settings(redis_url=valkey.url, data_dir=tmp_path, disk_free_bytes=1 << 60)
    loop = DispatchLoop(config, app)
    try:
        for _ in range(3):
            loop._step()
        assert loop.condition()[:2] == ("full", loop.blocked)
        assert "COPYDESK_DISK_FREE_BYTES" in loop.blocked
        assert redis_client.xpending("documents", "copydesk")["pending"] == 0
    finally:
        loop._client.close()
        loop._engine.dispose()


def test_a_full_disk_pauses_intake(settings, redis_client, receipts, tmp_path):
    settings = {**settings, "COPYDESK_DISK_FREE_BYTES": str(1 << 60)}
    with Background("worker", "--concurrency", "1", cwd=tmp_path, **settings) as worker:
        (state,) = until(lambda: [w for w in workers(redis_client) if w.state == "full"], what="it says so")
        assert "COPYDESK_DISK_FREE_BYTES" in state.reason
        redis_client.xadd("documents", {"raw": article(1), "key": "1"})
        health = copydesk("health", cwd=tmp_path, **settings)
        assert (health.returncode, "are free on the disk" in health.stdout) == (4, True)
        assert receipts() == {}
        assert redis_client.get("copydesk:slow-down") == b"5"
        assert worker.text().count("Capacity is exhausted") == 1
