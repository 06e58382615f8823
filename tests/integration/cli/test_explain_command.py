"""`copydesk explain` of documents without an outcome: by the id that the crawler got before a repair, by key and by URL."""

from __future__ import annotations

import json
import shlex
import time

import pytest

from worker.cli import app as main
from worker.documents.limits import Limits
from worker.pipeline import Batch, process
from worker.queries import pending
from worker.queue.lease_queue import LeaseQueue
from worker.settings import Settings
from worker.store.engine import make_engine


@pytest.fixture
def run(valkey, tmp_path, monkeypatch, capfd):
    """Run a command in this process; returns what it printed. `code`: its exit code; `err`: return what it printed there."""
    monkeypatch.setenv("COPYDESK_REDIS_URL", valkey.url)
    monkeypatch.setenv("COPYDESK_DATABASE_URL", f"sqlite:///{tmp_path / 'store.db'}")

    def run_line(line, *, code=0, err=False):
        with pytest.raises(SystemExit) as ended:
            main.run(shlex.split(line))
        shown = capfd.readouterr()
        assert ended.value.code == code, shown.err
        return shown.err if err else shown.out

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


URL = "https://ferry.example/a?b=1"


def found(run, query):
    return [entry["id"] for entry in json.loads(run(f"explain '{query}' --json"))["pending"]]


def test_a_document_that_waits_is_found_by_its_key(run, redis_client):
    run("db upgrade")
    ids = [
        redis_client.xadd("documents", {"raw": "x" * 1000, "source": "a", "key": key}).decode()
        for key in ("k", "other", "k", URL)
    ]
    redis_client.xadd("documents", {"raw": "no key"})
    assert found(run, "k") == [ids[2], ids[0]]
    assert found(run, "https://FERRY.example/a?b=1&utm_source=x") == [ids[3]], "a key that is a URL is canonicalised"
    shown = run("explain k")
    assert f"entry {ids[2]} on documents: pending, waiting" in shown
    assert "from a, key k" in shown
    assert "It waits for its turn" in shown
    assert "Nothing is known" in run("explain kk", code=1, err=True)


@pytest.mark.parametrize("line", ["webUrl: {}", 'webUrl: "{}"', "original: '{}' "])
def test_a_document_that_waits_is_found_by_its_url(run, redis_client, line):
    run("db upgrade")
    raw = "---\ntitle: t\n{}\n---\ntext"
    id_ = redis_client.xadd("documents", {"raw": raw.format(line.format(URL))}).decode()
    for other in (f"related:\n- webUrl: {URL}", f"webUrl: {URL}&c=2", f"webUrl: x{URL}", f"title2: see {URL}"):
        redis_client.xadd("documents", {"raw": raw.format(other)})
    redis_client.xadd("documents", {"raw": f"---\ntitle: t\n---\nwebUrl: {URL}\n"})
    assert found(run, URL) == [id_]


def test_only_the_newest_entries_are_searched_and_that_is_said(run, redis_client, monkeypatch):
    monkeypatch.setattr(pending, "MAX_SEARCHED", 40)
    monkeypatch.setattr(pending, "_PART_ENTRIES", 20)
    run("db upgrade")
    first, *_, last = [redis_client.xadd("documents", {"raw": "x", "key": f"{n}"}).decode() for n in range(41)]
    assert found(run, "40") == [last]
    assert "newest" in run("explain 0", code=1, err=True)
    redis_client.xdel("documents", last)
    assert found(run, "0") == [first]
    assert "newest" not in run("explain 0", err=True)
