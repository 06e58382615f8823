"""While Redis hangs or is not there, commands say so within seconds, with what the store knows and what to do."""

from __future__ import annotations

import json
import signal
import socket
import time

import pytest

from tests.integration.store.store_driver import work
from tests.support.servers import Background, Valkey, copydesk
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.engine import make_engine

SECONDS = 9.0
"""Three on an idle machine; the tests run beside others. With retries it was two minutes."""


@pytest.fixture(scope="module")
def halted(tmp_path_factory, migrated_sqlite):
    """The settings of a Redis that is stopped by a signal, with a store that holds a receipt."""
    server = Valkey().start()
    folder = tmp_path_factory.mktemp("halted")
    store = migrated_sqlite(folder / "store.db")
    config = Settings(redis_url=server.url, database_url=store, data_dir=folder)
    engine = make_engine(config)
    fields = {b"raw": b"---\ntitle: T\nwebUrl: https://a.example/1\n---\n", b"source": b"crawler"}
    work(engine, "documents", [Claimed("1700000000001-0", 0, 100, fields, truncated=False)])
    engine.dispose()
    copydesk("--version", cwd=folder)  # the first command loads the program
    server.signal(signal.SIGSTOP)
    yield {"COPYDESK_REDIS_URL": server.url, "COPYDESK_DATABASE_URL": store, "COPYDESK_DATA_DIR": str(folder)}
    server.signal(signal.SIGCONT)
    server.stop()


@pytest.fixture
def timed(tmp_path):
    """`timed(*arguments, **settings)`: run a command; returns what it printed and the seconds that it took."""

    def run(*arguments, **settings):
        began = time.monotonic()
        ended = copydesk(*arguments, cwd=tmp_path, **settings)
        return ended, time.monotonic() - began

    return run


def test_status_says_within_seconds_that_redis_hangs_and_what_that_means(timed, halted):
    ended, seconds = timed("status", **halted)
    assert seconds < SECONDS
    assert ended.returncode == 3
    message = " ".join(ended.stderr.split())
    assert (
        f"Redis at {halted['COPYDESK_REDIS_URL'].removeprefix('unix://')} does not answer; the last receipt is"
        in message
    )
    assert "old; documents wait in Redis, nothing is taken from it" in message
    assert "In the store: 1 articles" in ended.stdout
    assert "No worker is alive" not in ended.stdout + message


def test_status_as_json_has_the_store_and_the_outage(timed, halted):
    ended, seconds = timed("status", "--json", **halted)
    assert seconds < SECONDS
    status = json.loads(ended.stdout)
    assert status["redis"]["ok"] is False
    assert "does not answer" in status["redis"]["error"]
    assert status["store"]["articles"] == 1
    assert status["last_receipt_at"] == pytest.approx(time.time(), abs=600)


def test_the_live_status_says_it_in_its_first_picture(halted, tmp_path):
    with Background("status", "--watch", cwd=tmp_path, **halted) as running:
        began = time.monotonic()
        running.says("does not answer")
        assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("command", ["health", "tail", "lane list", "audit", "worker"])
def test_each_command_ends_within_seconds_with_the_cause(timed, halted, command):
    ended, seconds = timed(*command.split(), **halted)
    assert seconds < 2 * SECONDS
    assert ended.returncode == 3
    assert "does not answer" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_health_names_a_wrong_password(timed, tmp_path):
    server = Valkey(options=("--requirepass", "right"), credentials=":right").start()
    try:
        wrong = server.url.replace(":right@", ":hunter2@")
        ended, _ = timed("health", COPYDESK_REDIS_URL=wrong, COPYDESK_DATA_DIR=str(tmp_path))
        assert "does not know the user or password of COPYDESK_REDIS_URL" in ended.stdout.splitlines()[1]
        none = server.url.replace(":right@", "")
        ended, _ = timed("health", COPYDESK_REDIS_URL=none, COPYDESK_DATA_DIR=str(tmp_path))
        assert "asks for a password" in ended.stdout.splitlines()[1]
        assert "hunter2" not in ended.stdout
    finally:
        server.stop()


def test_health_says_that_redis_is_not_running_and_how_to_start_it_also_without_a_store(timed, tmp_path):
    ended, _ = timed("health", COPYDESK_REDIS_URL="redis://127.0.0.1:1/0", COPYDESK_DATA_DIR=str(tmp_path))
    assert "Redis is not running at 127.0.0.1:1. Start it" in ended.stdout.splitlines()[1]
    assert ended.returncode == 3


def test_the_console_announces_itself_only_when_it_accepts_connections(timed, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        nowhere = {"COPYDESK_REDIS_URL": "redis://127.0.0.1:1/0", "COPYDESK_DATABASE_URL": f"sqlite:///{tmp_path}/s.db"}
        ended, _ = timed("console", "--port", str(port), **nowhere)
    assert ended.returncode == 2
    assert "The console is at" not in ended.stderr
    assert f"the console cannot use port {port} of 127.0.0.1: address already in use" in ended.stderr


def test_the_console_says_which_servers_it_cannot_reach(timed, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nowhere = {"COPYDESK_REDIS_URL": "redis://127.0.0.1:1/0", "COPYDESK_DATABASE_URL": f"sqlite:///{tmp_path}/no/s.db"}
    with Background("console", "--port", port, cwd=tmp_path, **nowhere) as running:
        running.says("The console is at")
        running.says("Redis is not running at 127.0.0.1:1")
        running.says("The store cannot be used")


def test_tail_that_finds_nothing_says_where_older_outcomes_are(timed, valkey, redis_client):
    ended, _ = timed("tail", "--outcome", "rejected", "--last", "5", "--seconds", "0", COPYDESK_REDIS_URL=valkey.url)
    assert "None of the last 0 outcomes matches" in ended.stderr
    assert "copydesk dead list" in ended.stderr
    ended, _ = timed("tail", "--last", "5", "--seconds", "0", COPYDESK_REDIS_URL=valkey.url)
    assert "matches" not in ended.stderr
