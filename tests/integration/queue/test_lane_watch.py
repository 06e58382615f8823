"""The server announces that a lane has changed, so that nobody needs to poll it all the time."""

from __future__ import annotations

import threading
import time

import pytest
from structlog.testing import capture_logs

from worker.queue import lane_watch
from worker.queue.lane_watch import LaneWatch
from worker.queue.lease_queue import LeaseQueue
from worker.queue.pauses.lane_pauses import Pause
from worker.queue.pauses.source_pauses import pause_source

LONG, SOON = 30.0, 15.0
SHORT = 0.2
PAUSE = Pause("an operator", 0.0, "a test")


@pytest.fixture
def watch(valkey, redis_client, monkeypatch):
    monkeypatch.setattr(lane_watch, "_RETRY_SECONDS", 0.0)
    watch = LaneWatch(valkey.url)
    LeaseQueue(redis_client, "documents").ensure()
    watch.start()
    assert watch.is_active
    yield watch
    watch.close()


def poll(watch):
    found = LeaseQueue(watch.client, "documents").dispatch(limit=10, pending_cap=10, max_bytes=1000)
    return [id_ for id_, _ in found.entries]


def seconds_until_announced(watch, change=lambda: None):
    """Return how long `watch` waits when `change()` happens while it does."""
    thread = threading.Timer(0.05, change)
    thread.start()
    started = time.monotonic()
    watch.wait(LONG)
    took = time.monotonic() - started
    thread.join()
    return took


def test_a_new_entry_ends_the_wait(watch, redis_client):
    for _ in range(2):
        poll(watch)
        assert seconds_until_announced(watch, lambda: redis_client.xadd("documents", {"raw": "x"})) < SOON
        assert len(poll(watch)) == 1


def test_an_entry_that_came_between_poll_and_wait_is_not_missed(watch, redis_client):
    poll(watch)
    redis_client.xadd("documents", {"raw": "x"})
    assert seconds_until_announced(watch) < SOON


def test_a_settlement_and_a_pause_end_the_wait(watch, redis_client):
    queue = LeaseQueue(redis_client, "documents")
    redis_client.xadd("documents", {"raw": "x"})
    ids = poll(watch)
    queue.claim("worker", ids, lease_seconds=60, max_bytes=1000)
    poll(watch)
    assert seconds_until_announced(watch, lambda: queue.settle([(ids[0], "stored")])) < SOON
    poll(watch)
    assert seconds_until_announced(watch, lambda: pause_source(redis_client, "documents", "courier", PAUSE)) < SOON


def test_own_polls_and_earlier_changes_do_not_end_the_wait(watch, redis_client):
    for number in range(20):
        redis_client.xadd("documents", {"raw": str(number)})
        poll(watch)
    watch.wait(0)
    started = time.monotonic()
    watch.wait(SHORT)
    assert time.monotonic() - started >= SHORT


@pytest.mark.parametrize("killed", ["normal", "pubsub"])
def test_a_lost_connection_is_noticed_and_the_watch_starts_again(killed, watch, redis_client):
    poll(watch)
    redis_client.execute_command("CLIENT", "KILL", "TYPE", killed, "SKIPME", "yes")
    poll(watch)
    watch.wait(SHORT)
    assert not watch.is_active
    watch.start()
    assert watch.is_active
    poll(watch)
    assert seconds_until_announced(watch, lambda: redis_client.xadd("documents", {"raw": "x"})) < SOON


@pytest.mark.parametrize("refused", ["-client|tracking", "resetchannels", "-subscribe"])
def test_a_server_that_refuses_is_polled_instead(refused, valkey, redis_client, monkeypatch):
    monkeypatch.setattr(lane_watch, "_RETRY_SECONDS", 0.0)
    redis_client.execute_command("ACL", "SETUSER", "limited", "on", ">pw", "~*", "&*", "+@all", refused)
    watch = LaneWatch(valkey.url.replace("unix://", "unix://limited:pw@"))
    try:
        with capture_logs() as lines:
            for _ in range(3):
                watch.start()
        assert [line["event"] for line in lines] == ["Redis does not announce changes"]
        assert not watch.is_active
        LeaseQueue(redis_client, "documents").ensure()
        redis_client.xadd("documents", {"raw": "x"})
        watch.wait(0.01)
        assert len(poll(watch)) == 1
    finally:
        watch.close()
        redis_client.execute_command("ACL", "DELUSER", "limited")
