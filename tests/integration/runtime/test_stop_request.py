"""A worker that an operator asks to stop finishes its batches, and its supervisor does not start it again."""

from __future__ import annotations

import json

from tests.support.runtime_hooks import article
from tests.support.servers import Background, copydesk, until
from worker.activity.heartbeats import workers
from worker.activity.stop_requests import request_stop


def test_the_worker_ends_with_its_supervisor_and_the_others_continue(settings, redis_client, receipts, tmp_path):
    with (
        Background("worker", "--concurrency", "1", cwd=tmp_path, **settings) as first,
        Background("worker", "--concurrency", "1", "--name", "other@%h", cwd=tmp_path, **settings) as other,
    ):
        both = until(
            lambda: [w for w in workers(redis_client) if w.is_consuming][1:] and workers(redis_client), what="both run"
        )
        request_stop(redis_client, "elsewhere:1", "ann")
        request_stop(redis_client, both[0].name, "ann")
        stopped, left = until(
            lambda: (first, other) if first.process.poll() is not None
            else (other, first) if other.process.poll() is not None else None,
            what="one of them ends",
        )  # fmt: skip
        assert stopped.process.returncode == 0
        assert "The worker is asked to stop" in stopped.text()
        assert "ann" in stopped.text()
        assert [worker.name for worker in workers(redis_client)] == [both[1].name]
        id_ = redis_client.xadd("documents", {"raw": article(1), "key": "1"}).decode()
        until(lambda: id_ in receipts(), what="the other one continues")
        assert left.process.poll() is None


def test_commands_record_who_did_what(settings, redis_client, tmp_path):
    for words in (("lane", "pause", "documents", "--reason", "not tonight"), ("lane", "pause", "documents"),
                  ("lane", "resume", "documents"), ("user", "add", "ann", "--role", "operator")):  # fmt: skip
        assert copydesk(*words, cwd=tmp_path, **settings).returncode == 0, words
    shown = copydesk("actions", "--json", cwd=tmp_path, **settings)
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [(row["action"], row["subject"], row["reason"], row["via"]) for row in rows] == [
        ("user add", "ann", "as operator", "command"),
        ("lane resume", "documents", "", "command"),
        ("lane pause", "documents", "not tonight", "command"),
    ]
    assert len({row["who"] for row in rows}) == 1
    assert "not tonight" in copydesk("actions", cwd=tmp_path, **settings).stdout
    assert "ann  operator" in copydesk("user", "list", cwd=tmp_path, **settings).stdout
    assert copydesk("user", "remove", "ann", cwd=tmp_path, **settings).returncode == 0
    assert copydesk("user", "remove", "ann", cwd=tmp_path, **settings).returncode == 2
