"""A document that ends the process which reads or stores it is isolated, tried three times, and kept with evidence."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import create_engine, select

from tests.support.runtime_hooks import SHORT, article, deadly
from tests.support.servers import Background, copydesk, until
from worker.activity.minute_counters import MinuteCounters, total
from worker.store import tables

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


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["segfault", pytest.param("endless", marks=pytest.mark.long)])
def test_a_document_that_ends_the_process_which_stores_it_holds_up_no_other(
    how, valkey, redis_client, migrated_store_url, tmp_path
):
    names = ["poison" if number == 12 else str(number) for number in range(30)]
    raws = [article(number, f"storing: {how}" if number == 12 else "") for number in range(30)]
    for name, raw in zip(names, raws, strict=True):
        redis_client.xadd("documents", {"raw": raw, "key": name})
    # A batch of 30 is divided into small ones of 3.
    settings = {"COPYDESK_REDIS_URL": valkey.url, "COPYDESK_DATABASE_URL": migrated_store_url, "COPYDESK_LINK": "false",
                **SHORT, **deadly(tmp_path), "COPYDESK_BATCH_DOCUMENTS": "30", "COPYDESK_LEASE_SECONDS": "8",
                "COPYDESK_LOG_FORMAT": "json"}  # fmt: skip
    if how != "endless":
        settings["COPYDESK_TASK_SECONDS"] = "7"
    with Background("worker", "--concurrency", "2", cwd=tmp_path, **settings) as worker:
        until(lambda: redis_client.xlen("documents") == 0, seconds=120, what="all have their outcome")
        lines = [json.loads(line) for line in worker.text().splitlines() if "A pool process was lost" in line]
    engine = create_engine(migrated_store_url)
    with engine.connect() as connection:
        rows = {row.key: row for row in connection.execute(select(tables.receipts))}
    engine.dispose()
    assert {name: rows[name].outcome for name in names if name != "poison"} == dict.fromkeys(
        set(names) - {"poison"}, "stored"
    )
    [problem] = rows["poison"].problems
    assert (rows["poison"].outcome, problem["code"]) == ("rejected", "poison")
    assert problem["message"].count(f"{EVIDENCE[how]} while storing") == 3, problem["message"]
    assert (lines[0]["stage"], lines[0]["documents"], len(lines[0]["ids"])) == ("store", 30, 10), "once a minute"
    assert not redis_client.keys("copydesk:deaths:*") + redis_client.keys("copydesk:store-timeouts:*")
