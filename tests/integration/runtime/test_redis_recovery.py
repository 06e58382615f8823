"""What follows an outage of Redis: its end is logged at once, and no claim check is lost when connections are closed."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.runtime_hooks import article
from tests.support.servers import Background, until
from worker.activity.heartbeats import workers
from worker.runtime import tasks
from worker.runtime.app import app
from worker.runtime.dispatch.dispatcher import DispatchLoop
from worker.settings import Settings


@pytest.fixture
def loop(valkey, redis_client, tmp_path):
    assert tasks.ingest.name in app.tasks
    loop = DispatchLoop(Settings(redis_url=valkey.url, data_dir=tmp_path), app)
    yield loop
    loop._client.close()
    loop._engine.dispose()


def test_redis_is_usable_again_while_the_store_waits(loop):
    loop._redis.record_failure("Connection refused")
    loop._store.record_failure("disk I/O error")
    loop._step()
    assert not loop._redis.is_active
    assert loop.condition()[0] == "waiting-for-store"


def test_a_document_that_comes_while_the_consumer_connects_again_does_not_wait_for_a_lease(
    settings, redis_client, tmp_path
):
    with Background("worker", "--concurrency", "1", cwd=tmp_path, **settings) as worker:
        until(lambda: [one for one in workers(redis_client) if one.is_consuming], what="the worker consumes")
        assert redis_client.execute_command("CLIENT", "KILL", "TYPE", "pubsub") >= 2
        started = time.monotonic()
        redis_client.xadd("documents", {"raw": article(1), "reply_to": "replies:1"})
        until(lambda: redis_client.xlen("replies:1"), seconds=60, what="it has its outcome")
        assert time.monotonic() - started < 15, "a lease takes 25 s"
        lines = [json.loads(line)["event"] for line in worker.text().splitlines()]
    assert any("Connection to broker lost" in line for line in lines)
