"""The heartbeats and counters of a running worker."""

from __future__ import annotations

import signal

from tests.e2e.documents import SEED_SHAPED
from tests.support.servers import Background, until
from worker.activity.heartbeats import workers
from worker.activity.minute_counters import MinuteCounters, total


def test_a_worker_sends_heartbeats_and_counters_and_removes_itself_when_it_stops(settings, redis_client, tmp_path):
    with Background("worker", "--concurrency", "1", cwd=tmp_path, **settings) as run:
        (worker,) = until(lambda: [w for w in workers(redis_client) if w.is_consuming], what="it consumes")
        assert worker.lanes == ("documents",)
        assert [process.lane for process in worker.pool] == [None]
        redis_client.xadd("documents", {"raw": SEED_SHAPED, "source": "crawler"})
        redis_client.xadd("documents", {"raw": "nothing", "source": "crawler"})
        until(lambda: redis_client.xlen("documents") == 0, what="both are settled")

        def tallied():
            found = total(MinuteCounters(redis_client).window(2))
            return found if found.added == {"documents": 2} and found.documents() == 2 else None

        found = until(tallied, what="they are counted")
        assert found.outcomes["documents", "crawler", "stored"] == 1
        assert found.codes["documents", "crawler", "no_front_matter"] == 1
        assert found.work_ms["documents"] > 0
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(timeout=120) == 0, run.text()
        assert workers(redis_client) == []
