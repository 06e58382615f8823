"""A batch whose Redis becomes unreachable logs one line that says what happens next, and no traceback."""

from __future__ import annotations

import io
import json
import logging

import pytest

from worker.runtime import connections, tasks
from worker.settings import settings
from worker.telemetry import logs

CACHES = (settings, connections.engine, connections.client, connections.queue)


@pytest.fixture
def lines(monkeypatch, tmp_path):
    """`lines()`: the log lines. No Redis runs at the configured address."""
    out = io.StringIO()
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    monkeypatch.setenv("COPYDESK_REDIS_URL", f"unix://:hunter2@{tmp_path}/none.sock")
    monkeypatch.setenv("COPYDESK_DATA_DIR", str(tmp_path))
    for cache in CACHES:
        cache.cache_clear()
    logs.configure_for(settings())
    logs.configure(form="json", stream=out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    for cache in CACHES:
        cache.cache_clear()


def test_an_unreachable_redis_is_logged_without_a_traceback(lines):
    tasks.ingest.run("documents", ["1-0"])
    (logged,) = lines()
    assert logged["event"] == "Redis could not be used during a batch"
    assert logged["next"]
    assert "exception" not in logged
    assert "hunter2" not in json.dumps(logged)
