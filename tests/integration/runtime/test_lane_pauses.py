"""Lanes paused by an operator and by the circuit breaker; health reports them."""

from __future__ import annotations

import json
import time

import redis

from tests.support.runtime_hooks import article
from tests.support.servers import Background, copydesk, until
from worker.activity.heartbeats import workers
from worker.queue.lane_pauses import Pause, pause, paused, resume


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

        for number in range(150):
            redis_client.xadd("documents", {"raw": "no front matter", "source": "mad", "key": str(number)})
        held = until(lambda: paused(redis_client).get("documents"), what="the breaker pauses it")
        assert held.by == "breaker"
        assert "no_front_matter" in held.why
        assert "most from mad" in held.why
        assert "bulk" not in paused(redis_client)
        late = redis_client.xadd("bulk", {"raw": article(3), "key": "3"}).decode()
        until(lambda: late in receipts(), what="the other lane goes on")


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
            client.xadd("documents", {"raw": article(number, "x" * 20_000), "key": str(number)})
        except redis.exceptions.OutOfMemoryError:
            return number
    raise AssertionError("it never was full")


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
