"""The end of Redis's outage is logged at once, although the store cannot be used yet."""

from __future__ import annotations

import pytest

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
