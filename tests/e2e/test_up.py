"""`copydesk up` with crawlers: Redis commands, Celery's send_task, replies, and the output for operators."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from celery import Celery
from sqlalchemy import create_engine, select

from tests.e2e.documents import SEED_SHAPED, document
from tests.support.servers import Background, copydesk, environment, processes_naming, until
from worker.settings import Settings, embedded_redis_url
from worker.store import tables


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """The folder in which a `copydesk up` runs."""
    folder = tmp_path_factory.mktemp("up")
    with Background("up", cwd=folder, COPYDESK_LINK="true") as up:
        up.says("serves the lanes documents")
        yield folder
        assert up.process.poll() is None, up.text()
        assert up.interrupt() == 0, up.text()
    assert processes_naming(str(folder)) == []


@pytest.fixture
def crawler(installation):
    with redis.Redis.from_url(embedded_redis_url(installation / ".copydesk")) as client:
        yield client


def rows(installation, table, **wanted):
    engine = create_engine(f"sqlite:///{installation}/.copydesk/copydesk.db")
    with engine.connect() as connection:
        found = connection.execute(select(table).filter_by(**wanted)).all()
    engine.dispose()
    return found


def receipt(installation, id_, lane="documents"):
    (row,) = until(
        lambda: rows(installation, tables.receipts, lane=lane, id=id_.decode()), what=f"{id_} has an outcome"
    )
    return row


def test_a_document_pushed_with_xadd_is_stored_and_retracted_by_its_key(installation, crawler):
    id_ = crawler.xadd("documents", {"raw": SEED_SHAPED, "source": "crawler", "key": "stories/1.md"})
    stored = receipt(installation, id_)
    assert (stored.outcome, stored.source, stored.key) == ("stored", "crawler", "stories/1.md")
    (paper,) = rows(installation, tables.documents, source="crawler", key="stories/1.md")
    assert not paper.retracted
    id_ = crawler.xadd("documents", {"op": "retract", "source": "crawler", "key": "stories/1.md"})
    assert receipt(installation, id_).outcome == "retracted"
    (paper,) = rows(installation, tables.documents, source="crawler", key="stories/1.md")
    assert paper.retracted
    unexpected = [
        row
        for row in rows(installation, tables.articles, url_hash=paper.article_hash)
        if not row.is_stub and not row.orphaned_at
    ]
    assert unexpected == []


def test_a_document_without_a_key_is_retracted_by_its_url_in_any_spelling(installation, crawler):
    raw = "---\ntitle: One story\nwebUrl: https://www.retract.example/one\n---\n"
    assert receipt(installation, crawler.xadd("documents", {"raw": raw, "source": "s"})).outcome == "stored"
    id_ = crawler.xadd(
        "documents", {"op": "retract", "source": "s", "key": "http://retract.example/one?utm_source=x#top"}
    )
    assert receipt(installation, id_).outcome == "retracted"
    assert [paper.retracted for paper in rows(installation, tables.documents, source="s")] == [True]


def test_the_outcome_is_added_to_the_reply_stream_of_the_crawler(installation, crawler):
    good = crawler.xadd("documents", {"raw": document(1, 10), "source": "r", "key": "1", "reply_to": "replies:r"})
    bad = crawler.xadd("documents", {"raw": "nothing", "source": "r", "key": "2", "reply_to": "replies:r"})
    until(lambda: crawler.xlen("replies:r") == 2, what="both receipts are there")
    found = {}
    for _, fields in crawler.xrange("replies:r"):
        body = json.loads(fields[b"receipt"])
        found[body["id"]] = body
    assert found[good.decode()]["outcome"] == "stored"
    assert found[bad.decode()]["outcome"] == "rejected"
    assert [problem["code"] for problem in found[bad.decode()]["problems"]] == ["no_front_matter"]
    assert set(found[bad.decode()]) == {
        "id", "lane", "source", "key", "outcome", "url", "problems", "received_at", "settled_at", "worker", "attempts",
    }  # fmt: skip
    assert 0 < crawler.ttl("replies:r") <= 3600


def test_documents_of_a_celery_producer_reach_the_same_stream(installation, crawler):
    added = crawler.xinfo_stream("documents")["entries-added"]
    broker = embedded_redis_url(installation / ".copydesk").replace("unix://", "redis+socket://")
    with Celery(broker=broker) as producer:
        producer.send_task("copydesk.submit", (document(2, 10),), {"source": "celery", "key": "2.md"}, queue="copydesk")
    (row,) = until(lambda: rows(installation, tables.receipts, source="celery"), what="it has an outcome")
    assert (row.lane, row.outcome, row.key) == ("documents", "stored", "2.md")
    assert crawler.xinfo_stream("documents")["entries-added"] == added + 1


def test_an_entry_with_wrong_fields_is_rejected_and_crashes_nothing(installation, crawler):
    hostile = [
        ({"raw": "x", "op": "destroy"}, "unknown_op"),
        ({"nonsense": "x"}, "no_raw"),
        ({"raw": SEED_SHAPED, "reply_to": "copydesk:outcomes:documents"}, "bad_reply_to"),
        ({"op": "retract"}, "retract_what"),
        ({"raw": SEED_SHAPED, "source": b"\xff\xfe"}, "bad_source"),
        ({"raw": SEED_SHAPED, "key": "k\x00"}, "bad_key"),
        ({"raw": b"\xff\xfe\x00"}, None),
        ({"raw": b""}, None),
    ]
    ids = [(crawler.xadd("documents", fields), code) for fields, code in hostile]
    for id_, code in ids:
        row = receipt(installation, id_)
        assert row.outcome == "rejected", row
        assert code is None or code in {problem["code"] for problem in row.problems}


def test_status_shows_the_sum_and_the_audit_passes(installation, crawler):
    until(lambda: crawler.xlen("documents") == 0, what="the backlog is done")
    status = copydesk("status", "--json", cwd=installation)
    assert status.returncode == 0, status.stderr
    (lane,) = json.loads(status.stdout)["lanes"]
    assert lane["added"] == lane["settled"] + lane["backlog"]
    assert lane["settled"] == sum(lane["outcomes"].values()) == len(rows(installation, tables.receipts))
    shown = copydesk("status", cwd=installation)
    assert "documents" in shown.stdout
    audit = copydesk("audit", "--json", cwd=installation)
    assert audit.returncode == 0
    assert json.loads(audit.stdout)["sound"] is True


def test_submit_waits_for_outcomes_and_does_not_stop_the_workers(installation, tmp_path):
    (tmp_path / "a.md").write_text(document(3, 10))
    run = copydesk("submit", "--wait", "--json", "--source", "w", tmp_path / "a.md", cwd=installation)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[0])["outcome"] == "stored"
    pushed = copydesk("submit", "--json", "--source", "w", tmp_path / "a.md", cwd=installation)
    assert set(json.loads(pushed.stdout)) == {"id", "lane", "path"}
    assert receipt(installation, json.loads(pushed.stdout)["id"].encode()).outcome == "unchanged"


def celery(installation: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "worker.runtime.app", *arguments]


@pytest.mark.long  # `test_acl.py` runs the same command with the rights of a worker
def test_celerys_own_commands_work_on_the_worker(installation):
    run = subprocess.run(
        celery(installation, "inspect", "registered", "--json"),
        cwd=installation,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert {"copydesk.ingest", "copydesk.submit"} <= set(next(iter(json.loads(run.stdout).values())))


def test_the_worker_runs_as_celery_users_start_it(tmp_path, valkey, redis_client, migrated_postgres_url):
    settings = {"COPYDESK_REDIS_URL": valkey.url, "COPYDESK_DATABASE_URL": migrated_postgres_url}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(celery(tmp_path, "worker", "--concurrency=1"), cwd=tmp_path, env=environment(**settings),
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # fmt: skip
    try:
        redis_client.xadd("documents", {"raw": SEED_SHAPED})
        until(lambda: redis_client.hgetall("copydesk:outcomes:documents"), what=(tmp_path / "log").read_text())
        assert redis_client.hgetall("copydesk:outcomes:documents") == {b"stored": b"1"}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0, (tmp_path / "log").read_text()


def test_log_lines_are_json_with_the_receipt_and_without_secrets(tmp_path):
    with Background("up", cwd=tmp_path) as up:
        up.says("serves the lanes")
        raw = SEED_SHAPED
        with redis.Redis.from_url(Settings(data_dir=tmp_path / ".copydesk").redis) as client:
            trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            id_ = client.xadd("documents", {"raw": raw, "source": "c", "key": "k", "traceparent": trace}).decode()
        up.says("Batch done")
    lines = [json.loads(line) for line in up.text().splitlines() if line.startswith("{")]
    (unexpected,) = [line for line in lines if line.get("id") == id_]
    assert {name: unexpected[name] for name in ("lane", "source", "key", "outcome", "level")} == {
        "lane": "documents", "source": "c", "key": "k", "outcome": "stored", "level": "info",
    }  # fmt: skip
    assert unexpected["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    (batch,) = [line for line in lines if line["event"] == "Batch done"]
    assert (batch["documents"], batch["outcomes"]) == (1, {"stored": 1})
    assert batch["ms"]
    assert "VGhpcyBpcyBubyBj" not in up.text()


@pytest.mark.parametrize(
    "garbage", ["raw text", "[]", "null", "{", "{}", '{"properties": {}}', '{"body": "!!!", "properties": {}}']
)
def test_garbage_on_celerys_list_stops_nothing(garbage, installation, crawler):
    crawler.lpush("copydesk", garbage)
    id_ = crawler.xadd("documents", {"raw": SEED_SHAPED, "key": f"after {garbage}"})
    assert receipt(installation, id_).outcome in ("stored", "unchanged")
    assert until(lambda: crawler.llen("copydesk") == 0, what="the garbage is gone")
