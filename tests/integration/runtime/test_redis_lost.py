"""Redis becomes unreachable in the middle of a batch: no process died, so no attempt is counted for its documents."""

from __future__ import annotations

import pytest
import redis

from tests.support.runtime_hooks import article
from worker.queue.lease_queue import LeaseQueue
from worker.runtime import connections, ingestion, tasks
from worker.settings import Settings
from worker.store.migration import upgrade


@pytest.fixture
def queue(redis_client, valkey, tmp_path, monkeypatch):
    """A lane, with this process as its worker."""
    config = Settings(redis_url=valkey.url, database_url=f"sqlite:///{tmp_path}/store.db", data_dir=tmp_path)
    upgrade(config)
    caches = (connections.engine, connections.client, connections.queue, connections.rules)
    for cache in caches:
        cache.cache_clear()
    for module in (connections, ingestion, tasks):
        monkeypatch.setattr(module, "settings", lambda: config)
    queue = LeaseQueue(redis_client, "documents")
    queue.ensure()
    yield queue
    connections.engine().dispose()
    connections.client().close()
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize(
    ("step", "count"), [("end_attempt", 1), ("settle", 1), ("end_attempt", 5), ("begin_attempt", 5), ("settle", 5)]
)
def test_a_batch_that_loses_redis_comes_back_without_an_attempt(step, count, queue, redis_client, monkeypatch):
    ids = [redis_client.xadd("documents", {"raw": article(n), "key": str(n)}).decode() for n in range(count)]
    queue.dispatch(limit=10, pending_cap=10, max_bytes=1 << 20)
    original, failures = getattr(LeaseQueue, step), iter([True])

    def lost(*arguments, **options):
        if next(failures, False):
            raise redis.ConnectionError("as when it is restarted")
        return original(*arguments, **options)

    monkeypatch.setattr(LeaseQueue, step, lost)
    tasks.ingest("documents", ids)
    pending = redis_client.xpending_range("documents", "copydesk", "-", "+", count)
    assert [one["times_delivered"] for one in pending] == [1] * count
    given_back = queue.reap(lease_seconds=24, whole=True)
    assert given_back == [(id_, 0) for id_ in ids], "given back, a second before the lease's end"
    tasks.ingest("documents", ids)
    assert queue.state().outcomes == {"stored": count}
    assert queue.state().backlog == 0
