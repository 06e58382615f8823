"""A worker without documents leaves the server alone, and yet takes the next document at once."""

from __future__ import annotations

import time

from tests.support.servers import Background, until

SECONDS = 1.0
MOST_SCRIPTS = 60
"""A second: ten polls of two lanes, the reaper and the supervision. Polls every 10 ms took 200."""


def scripts_run(client):
    return client.info("commandstats")["cmdstat_evalsha"]["calls"]


def test_an_idle_worker_asks_the_server_some_ten_times_a_second(settings, redis_client, receipts, tmp_path):
    settings = {**settings, "COPYDESK_POLL_SECONDS": "0.003"}
    with Background("worker", "--concurrency", "1", cwd=tmp_path, **settings):
        id_ = redis_client.xadd("documents", {"raw": "---\ntitle: Ferry\n---\n", "key": "1"}).decode()
        until(lambda: id_ in receipts(), what="the first document has an outcome")
        before, started = scripts_run(redis_client), time.monotonic()
        time.sleep(SECONDS)
        a_second = (scripts_run(redis_client) - before) / (time.monotonic() - started)
        assert a_second < MOST_SCRIPTS
        id_ = redis_client.xadd("documents", {"raw": "---\ntitle: Ferry\n---\n", "key": "2"}).decode()
        until(lambda: id_ in receipts(), what="another document has an outcome")
