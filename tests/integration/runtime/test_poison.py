"""A document that ends the process which reads it is isolated, tried three times, and kept with evidence."""

from __future__ import annotations

import json

import pytest

from tests.support.runtime_hooks import SHORT, article, deadly
from tests.support.servers import Background, copydesk, until
from worker.activity.minute_counters import MinuteCounters, total

EVIDENCE = {
    "segfault": "signal 11 (SIGSEGV)",
    "out of memory": "signal 9 (SIGKILL)",
    "memory limit": "exitcode 71 (out of memory)",
    "exit": "exitcode 70",
    "endless": "time limit of 3 s",
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(how, marks=[pytest.mark.long] if how in ("out of memory", "memory limit", "exit") else [])
        for how in EVIDENCE
    ],
)
def test_poison_becomes_a_dead_letter_with_evidence_and_the_others_are_stored(
    how, settings, redis_client, receipts, tmp_path
):
    ids = [redis_client.xadd("documents", {"raw": article(n), "key": f"{n}"}).decode() for n in range(6)]
    poison = redis_client.xadd("documents", {"raw": article(99, f"test: {how}"), "key": "poison"}).decode()
    ids += [redis_client.xadd("documents", {"raw": article(n), "key": f"{n}"}).decode() for n in range(6, 10)]
    settings = {**settings, **SHORT, **deadly(tmp_path), "COPYDESK_LEASE_SECONDS": "8", "COPYDESK_LOG_FORMAT": "json"}
    if how != "endless":
        settings["COPYDESK_TASK_SECONDS"] = "7"  # within 3 s a busy machine reaches the time limit before the crash
    with Background("worker", "--concurrency", "2", cwd=tmp_path, **settings) as worker:
        until(lambda: set(ids) <= set(receipts()), seconds=90, what="the others are stored")
        assert {receipts()[id_].outcome for id_ in ids} == {"stored"}
        until(lambda: poison in receipts(), seconds=90, what="the poison has its outcome")
        until(lambda: redis_client.xlen("documents") == 0, what="all is settled")
        assert "A pool process was lost" in worker.text()
    row = receipts()[poison]
    assert (row.outcome, row.attempts) == ("rejected", 4)
    (problem,) = row.problems
    assert problem["code"] == "poison"
    assert problem["message"].count(EVIDENCE[how]) == 3, problem["message"]
    assert redis_client.exists("copydesk:deaths:documents") == 0, "the dead letter holds it now"
    assert total(MinuteCounters(redis_client).window(5)).deaths["documents"] == 3
    # No command that shows it parses it: these processes have the same hook.
    listed = copydesk("dead", "list", "--json", cwd=tmp_path, **settings)
    number = json.loads(listed.stdout)["dead_letter"]
    shown = copydesk("dead", "show", number, cwd=tmp_path, **settings)
    assert shown.returncode == 0, shown.stderr
    assert EVIDENCE[how] in shown.stdout
    explained = copydesk("explain", poison, cwd=tmp_path, **settings)
    assert EVIDENCE[how] in explained.stdout
