"""Redis becomes unreachable in the middle of a batch: no process died, so no attempt is counted for its documents."""

from __future__ import annotations

import pytest
import redis

from tests.support.runtime_hooks import article
from worker.queue.lease_queue import LeaseQueue
from worker.runtime import tasks


@pytest.mark.parametrize("step", ["end_attempt", "begin_attempt", "settle"])
def test_a_batch_that_loses_redis_comes_back_without_an_attempt(step, own_worker, redis_client, monkeypatch):
    id_ = redis_client.xadd("documents", {"raw": article(1), "key": "one"}).decode()
    own_worker.dispatch(limit=10, pending_cap=10, max_bytes=1 << 20)
    original, failures = getattr(LeaseQueue, step), iter([True])

    def lost(*arguments, **options):
        if next(failures, False):
            raise redis.ConnectionError("as when it is restarted")
        return original(*arguments, **options)

    monkeypatch.setattr(LeaseQueue, step, lost)
    tasks.ingest("documents", [id_])
    assert redis_client.xpending_range("documents", "copydesk", "-", "+", 1)[0]["times_delivered"] == 1
    assert own_worker.reap(lease_seconds=24, whole=True) == [(id_, 0)], "given back, a second before the lease's end"
    tasks.ingest("documents", [id_])
    assert own_worker.state().outcomes == {"stored": 1}
    assert own_worker.state().backlog == 0
