"""Redis becomes unreachable in the middle of a batch: no process died, so no attempt is counted for its documents."""

from __future__ import annotations

import pytest
import redis

from tests.support.runtime_hooks import article
from worker.queue.lease_queue import LeaseQueue
from worker.runtime import tasks


@pytest.mark.parametrize(
    ("step", "count"), [("end_attempt", 1), ("settle", 1), ("end_attempt", 5), ("begin_attempt", 5), ("settle", 5)]
)
def test_a_batch_that_loses_redis_comes_back_without_an_attempt(step, count, own_worker, redis_client, monkeypatch):
    ids = [redis_client.xadd("documents", {"raw": article(n), "key": str(n)}).decode() for n in range(count)]
    own_worker.dispatch(limit=10, pending_cap=10, max_bytes=1 << 20)
    original, failures = getattr(LeaseQueue, step), iter([True])

    def lost(*arguments, **options):
        if next(failures, False):
            raise redis.ConnectionError("as when it is restarted")
        return original(*arguments, **options)

    monkeypatch.setattr(LeaseQueue, step, lost)
    tasks.ingest("documents", ids)
    pending = redis_client.xpending_range("documents", "copydesk", "-", "+", count)
    assert [one["times_delivered"] for one in pending] == [1] * count
    given_back = own_worker.reap(lease_seconds=24, whole=True)
    assert given_back == [(id_, 0) for id_ in ids], "given back, a second before the lease's end"
    tasks.ingest("documents", ids)
    assert own_worker.state().outcomes == {"stored": count}
    assert own_worker.state().backlog == 0
