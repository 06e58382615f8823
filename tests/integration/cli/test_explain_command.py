"""`copydesk explain` by the id that the crawler got, after a repair has added its document to the lane again."""

from __future__ import annotations

import json
import shlex
import time

import pytest

from worker.cli import app as main
from worker.documents.limits import Limits
from worker.pipeline import Batch, process
from worker.queue.lease_queue import LeaseQueue
from worker.settings import Settings
from worker.store.engine import make_engine


@pytest.fixture
def run(valkey, tmp_path, monkeypatch, capfd):
    """Run a command in this process; returns what it printed."""
    monkeypatch.setenv("COPYDESK_REDIS_URL", valkey.url)
    monkeypatch.setenv("COPYDESK_DATABASE_URL", f"sqlite:///{tmp_path / 'store.db'}")

    def run_line(line):
        with pytest.raises(SystemExit) as ended:
            main.run(shlex.split(line))
        shown = capfd.readouterr()
        assert ended.value.code == 0, shown.err
        return shown.out

    return run_line


def test_a_document_is_found_by_the_id_that_it_had_before_a_repair(run, redis_client, tmp_path):
    run("db upgrade")
    known = redis_client.xadd("documents", {"raw": "x"}, id=f"{(int(time.time()) + 10 * 86_400) * 1000}-0").decode()
    run("lane repair documents --yes")
    ((now, _),) = redis_client.xrange("documents")
    found = json.loads(run(f"explain {known} --json"))
    assert (found["added_again_as"], found["pending"][0]["id"]) == ([now.decode()], now.decode())
    assert f"added again as {now.decode()}" in run(f"explain {known}")

    queue = LeaseQueue(redis_client, "documents")
    ids = [id_ for id_, _ in queue.dispatch(limit=10, pending_cap=100, max_bytes=1 << 20).entries]
    entries = queue.claim("w", ids, lease_seconds=60, max_bytes=1 << 20)
    engine = make_engine(Settings(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path / 'store.db'}"), pooled=False)
    process(engine, Batch("documents", None, "w", 3, Limits()), entries, end_attempt=lambda: None)
    engine.dispose()
    for id_ in (known, now.decode()):
        [receipt] = json.loads(run(f"explain {id_} --json"))["receipts"]
        assert (receipt["id"], receipt["outcome"]) == (known, "rejected"), "both ids lead to the receipt"
