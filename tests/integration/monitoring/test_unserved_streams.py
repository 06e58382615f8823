"""Streams with documents that no lane serves are named; those of Copydesk and of other programs are not."""

from __future__ import annotations

import json

import pytest

from worker.activity.outcome_feed import publish
from worker.cli import app as main
from worker.monitoring.unserved_streams import UnservedStream, unserved_streams
from worker.queue.lease_queue import LeaseQueue


def test_a_stream_with_documents_that_no_lane_serves_is_named(redis_client):
    LeaseQueue(redis_client, "documents").ensure()
    for name, fields in [
        ("documents", {"raw": "x"}), ("document", {"raw": "x"}), ("document", {"raw": "y"}), ("gone", {"op": "retract", "key": "k"}),
        ("articles", {"raw": "x"}), ("replies:someone:1", {"raw": "x"}), ("copydesk:internal", {"raw": "x"}), ("other-program", {"event": "x"}),
    ]:  # fmt: skip
        redis_client.xadd(name, fields)
    redis_client.xtrim("gone", maxlen=1)
    redis_client.set("raw", "no stream")
    publish(redis_client, lane="documents", worker="w", rows=[("1-0", "s", "stored", "k", "u", [])])
    assert unserved_streams(redis_client, ["documents"]) == [UnservedStream("document", 2), UnservedStream("gone", 1)]
    assert unserved_streams(redis_client, ["documents", "document", "gone"]) == []


def test_an_empty_stream_is_not_named(redis_client):
    redis_client.xdel("document", redis_client.xadd("document", {"raw": "x"}))
    assert unserved_streams(redis_client, ["documents"]) == []


@pytest.fixture
def audit(valkey, redis_client, migrated_folder, monkeypatch, capsys):
    monkeypatch.setenv("COPYDESK_REDIS_URL", valkey.url)
    monkeypatch.setenv("COPYDESK_DATA_DIR", str(migrated_folder))

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main.run(["audit", *arguments])
        return ended.value.code, capsys.readouterr().out

    return run


def test_audit_names_it_and_says_what_to_do(audit, redis_client):
    redis_client.xadd("doc\x1b[31m", {"raw": "x"})
    code, out = audit()
    assert code == 0, "the lanes are sound"
    assert "(1 waiting): add it to COPYDESK_LANES of all workers, or correct the name in the crawler" in out
    assert "\x1b" not in out
    assert json.loads(audit("--json")[1])["unserved"] == [{"name": "doc\x1b[31m", "entries": 1}]
