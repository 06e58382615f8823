"""Heartbeats against a real server."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.support.databases import SQLITE_BY_DEFAULT
from worker.activity.heartbeats import PoolProcess, WorkerState, leave, missing, send, workers
from worker.monitoring.exporter import CopydeskCollector
from worker.monitoring.health import check
from worker.settings import Settings


def worker(name="host:1", **more):
    fields = {"name": name, "host": "host", "pid": 1, "version": "0", "started": 5.0, "lanes": ("documents", "urgent"),
              "concurrency": 2, "state": "consuming", "since": 6.0, "last_progress": 7.5,
              "pool": (PoolProcess(11, "documents", 100, 8.0), PoolProcess(12))}  # fmt: skip
    return WorkerState(**{**fields, **more})


def test_a_heartbeat_is_read_as_it_was_sent(redis_client):
    one, two = worker(), worker("host:2", state="paused", reason="by the night shift", last_progress=None, pool=())
    send(redis_client, two)
    send(redis_client, one)
    read = workers(redis_client)
    assert [replace(found, heartbeat_at=0.0) for found in read] == [one, two]
    assert [found.heartbeat_at for found in read] == [pytest.approx(time.time(), abs=5)] * 2
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


@SQLITE_BY_DEFAULT
@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_the_clock_of_a_host_decides_neither_who_is_missing_nor_how_long_nothing_moved(
    redis_client, engine, monkeypatch, seconds
):
    now = time.time()
    state = worker(started=now - 60, since=now - 60, last_progress=now)
    send(redis_client, worker("dead:1"))
    redis_client.delete("copydesk:worker:dead:1")
    redis_client.zadd("copydesk:workers", {"dead:1": now - 30})
    monkeypatch.setattr(time, "time", lambda: now + seconds)
    send(redis_client, state)
    alive = workers(redis_client)
    assert [found.name for found in alive] == ["host:1"]
    assert missing(redis_client, alive) == [("dead:1", pytest.approx(30, abs=2))]
    assert not [reason for reason in check(Settings(), redis_client, engine).reasons if "host:1" in reason]
    families = {family.name: family for family in CopydeskCollector(Settings(), redis_client, engine).collect()}
    assert [sample.value for sample in families["copydesk_stalled_seconds"].samples] == [pytest.approx(0, abs=5)]
