"""`health` names what is wrong with a lane, as `status` does."""

from __future__ import annotations

import time

import pytest

from worker.activity import heartbeats
from worker.activity.heartbeats import WorkerState
from worker.activity.minute_counters import Counts, MinuteCounters
from worker.monitoring.health import check
from worker.queue.lease_queue import LeaseQueue
from worker.queue.pauses import lane_pauses
from worker.settings import Settings


@pytest.fixture
def client(redis_client):
    """A server with a worker that consumes and an entry that has waited for two minutes."""
    now = time.time()
    state = WorkerState(name="host:1", host="host", pid=1, version="0", started=now, lanes=("documents",),
                        concurrency=1, since=now, state="consuming", last_progress=now)  # fmt: skip
    with redis_client.pipeline() as pipe:
        heartbeats.send(redis_client, state, pipe)
        pipe.execute()
    redis_client.xadd("documents", {"raw": "x"}, id=f"{int((now - 120) * 1000)}-0")
    return redis_client


def result(client, **options):
    found = check(Settings(), client, None, **options)
    return found.summary, [reason for reason in found.reasons if "stands still" in reason]


def test_a_lane_that_stands_still_is_degraded(client):
    sentence = "Lane documents stands still: 1 wait and none gets an outcome, see the log"
    assert result(client) == ("degraded", [sentence])
    assert result(client, host="host")[1] == [], "the check of a container looks at its own worker"


def test_a_lane_that_moves_or_is_paused_is_not_named(client):
    counts = Counts("documents")
    counts.outcomes["crawler", "stored"] = 1
    MinuteCounters(client).add(counts)
    assert result(client) == ("healthy", [])
    client.flushdb()
    assert result(client)[1] == []


def test_a_paused_lane_is_named_as_paused_alone(client):
    lane_pauses.pause(client, "documents", lane_pauses.Pause("ops", time.time(), "test"))
    assert result(client)[1] == []


def test_entries_that_vanished_are_named_also_for_a_container(client):
    LeaseQueue(client, "documents").ensure()
    client.xtrim("documents", maxlen=0)
    for options in ({}, {"host": "host"}):
        found = check(Settings(), client, None, **options)
        assert found.summary == "degraded"
        assert [reason for reason in found.reasons if "1 entries vanished from lane documents" in reason]
