"""Heartbeats against a real server."""

from __future__ import annotations

import time

import pytest

from worker.activity.heartbeats import PoolProcess, WorkerState, leave, missing, send, workers


def worker(name="host:1", **more):
    fields = {"name": name, "host": "host", "pid": 1, "version": "0", "started": 5.0, "lanes": ("documents", "urgent"),
              "concurrency": 2, "state": "consuming", "since": 6.0, "last_progress": 7.5,
              "pool": (PoolProcess(11, "documents", 100, 8.0), PoolProcess(12))}  # fmt: skip
    return WorkerState(**{**fields, **more})


def test_a_heartbeat_is_read_as_it_was_sent(redis_client):
    one, two = worker(), worker("host:2", state="paused", reason="by the night shift", last_progress=None, pool=())
    send(redis_client, two)
    send(redis_client, one)
    assert workers(redis_client) == [one, two]
    assert [found.is_consuming for found in workers(redis_client)] == [True, False]


def test_a_silent_worker_expires_and_a_stopped_one_disappears_at_once(redis_client):
    send(redis_client, worker())
    assert 0 < redis_client.ttl("copydesk:worker:host:1") <= 10
    redis_client.delete("copydesk:worker:host:1")  # as its expiry does
    assert workers(redis_client) == []
    send(redis_client, worker("host:2"))
    leave(redis_client, "host:2")
    assert workers(redis_client) == []
    assert redis_client.zscore("copydesk:workers", "host:2") is None


def test_names_of_dead_workers_do_not_accumulate(redis_client):
    redis_client.zadd("copydesk:workers", {f"host:{n}": n for n in range(1000)})
    send(redis_client, worker())
    assert redis_client.zcard("copydesk:workers") == 1


def test_a_silent_worker_is_missing_for_a_while_unless_it_stopped(redis_client):
    now = time.time()
    redis_client.zadd("copydesk:workers", {"host:1": now - 30, "host:2": now - 5, "host:3": now - 9999})
    assert missing(redis_client, workers(redis_client)) == [("host:1", pytest.approx(30, abs=2))]
    leave(redis_client, "host:1")
    assert missing(redis_client, []) == []


def test_a_dead_worker_with_a_successor_on_its_host_is_not_missing(redis_client):
    now = time.time()
    redis_client.zadd("copydesk:workers", {"host:1": now - 30})
    assert missing(redis_client, [worker("host:2", started=now - 60)]), "the other was there before"
    assert missing(redis_client, [worker("elsewhere:2", host="elsewhere", started=now - 20)])
    assert missing(redis_client, [worker("host:2", started=now - 20)]) == []
