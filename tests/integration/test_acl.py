"""The users of worker/deploy/users.acl, loaded from that file: each can do its work, and a crawler can do nothing else."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import urllib.request

import celery
import pytest
import redis

from tests.support.access_rights import GuardedSystem
from tests.support.servers import ROOT, VALID, Background, environment, free_port, results, until
from worker.producer.client import Producer
from worker.producer.tokens import remove_lasting_tokens
from worker.queue.lease_queue import LeaseQueue
from worker.settings import INTERNAL_LANE

LARGEST = "18446744073709551615-18446744073709551615"
DOCUMENT = "---\ntitle: Ferry\nwebUrl: https://harbour-courier.example/ferry\n---\n"


@pytest.fixture(scope="module")
def system():
    with GuardedSystem() as found:
        yield found


@pytest.fixture
def crawler(system):
    with system.client("crawler") as client:
        yield client


def test_a_crawler_sends_waits_and_gets_its_receipts(system):
    with Producer(system.url("crawler"), source="harbour") as producer:
        id_ = producer.submit(DOCUMENT)
        assert producer.replies.startswith("replies:crawler:")
        assert producer.wait(id_).outcome == "stored"
        assert [producer.wait(id_).outcome for _, id_ in producer.submit_many([DOCUMENT] * 2)] == ["unchanged"] * 2
        assert producer.wait(producer.retract("https://harbour-courier.example/ferry")).outcome == "retracted"
    with system.client("operator") as operator:
        published = {fields.get(b"outcome") for _, fields in operator.xrange("articles")}
    assert published >= {b"stored", b"retracted"}, "a worker may write the change feed"


def test_a_crawler_can_use_plain_commands(system, crawler):
    id_ = crawler.xadd("documents", {"raw": DOCUMENT, "reply_to": "replies:crawler:me"})
    ((_, [(_, fields)]),) = crawler.xread({"replies:crawler:me": "0"}, count=1, block=20_000)
    assert json.loads(fields[b"receipt"])["id"] == id_.decode()
    assert crawler.get("copydesk:slow-down") == b"0"


@pytest.mark.parametrize(
    "command",
    [
        "XADD other * raw x", f"XADD {INTERNAL_LANE} * raw x", "XADD replies:crawler:me * receipt x",
        "XADD copydesk:outcomes:documents * a b", "XREAD STREAMS documents 0", "XREAD STREAMS replies:other 0",
        "XRANGE documents - +", "XLEN documents", "XINFO STREAM documents", "XTRIM documents MAXLEN 0", "XDEL documents 1-1",
        "XGROUP DESTROY documents copydesk", "XSETID documents 1-1", "DEL documents", "RENAME documents x", "EXPIRE documents 1",
        "SET documents x", "SET copydesk:slow-down 0", "SET once:other:x 1", "GET once:other:x", "GET documents", "LPUSH copydesk x",
        "EVAL return 0", "FCALL other 0", "FUNCTION FLUSH", "FLUSHALL", "KEYS *", "SCAN 0", "CONFIG GET *", "ACL LIST", "CLIENT LIST",
        "CLIENT KILL TYPE normal", "INFO", "SUBSCRIBE x", "PUBLISH x y", "SHUTDOWN", "MONITOR", "SAVE",
        "CLIENT TRACKING ON BCAST", "CLIENT TRACKING ON REDIRECT 1", "CLIENT CACHING YES", "CLIENT TRACKINGINFO", "CLIENT GETREDIR",
        "CLIENT INFO", "CLIENT UNBLOCK 1", "CLIENT PAUSE 1", "CLIENT NO-EVICT ON", "CLIENT REPLY OFF", "PSUBSCRIBE *", "SSUBSCRIBE x",
        "SUBSCRIBE __keyspace@0__:documents", "PUBSUB CHANNELS", "XINFO GROUPS documents", "XINFO STREAM replies:worker:x",
        "XRANGE replies:crawler:me - +", "XREAD STREAMS replies:crawler:me replies:other 0 0", "XREAD STREAMS articles 0",
        "XREAD STREAMS copydesk:tail 0", "XREADGROUP GROUP copydesk me STREAMS documents >", "XPENDING documents copydesk",
        "XCLAIM documents copydesk me 0 1-1", "XACK documents copydesk 1-1", "OBJECT ENCODING documents", "MEMORY USAGE documents",
        "TYPE documents", "EXISTS documents", "TTL once:other:x", "DUMP documents", "COPY documents x",
        "RANDOMKEY", "DBSIZE", "SORT documents", "MGET once:other:x", "MGET copydesk:maintained", "GETDEL once:crawler:x",
        "SET replies:crawler:x 1", "EVAL_RO return 0", "EVALSHA 0 0", "FCALL_RO copydesk_submit 0", "FUNCTION LIST", "SCRIPT FLUSH",
        "LATENCY LATEST", "SLOWLOG GET", "ACL WHOAMI", "ROLE", "REPLICAOF NO ONE", "SYNC", "MOVE documents 1", "SWAPDB 0 1", "WATCH documents",
        "MULTI", "WAIT 0 0", "BLPOP copydesk 1", "LRANGE copydesk 0 -1",
    ],
)  # fmt: skip
def test_a_crawler_may_do_nothing_else(crawler, command):
    words = command.split()
    if words[0].startswith("EVAL") and words[0] != "EVALSHA":
        words = [words[0], "return 0", "0"]
    with pytest.raises(redis.exceptions.NoPermissionError):
        crawler.execute_command(*words)


def test_the_stored_function_gives_a_crawler_no_other_lane(system, crawler):
    with pytest.raises(redis.ResponseError, match=r"permission|access"):
        crawler.fcall("copydesk_submit", 1, "once:crawler:x", "other", 600, 2, "raw", "x")
    with pytest.raises(redis.exceptions.NoPermissionError):
        crawler.fcall("copydesk_submit", 1, "once:other:x", "documents", 600, 2, "raw", "x")
    with system.client("operator") as operator:
        assert not operator.exists("other")


def test_a_crawler_introduces_itself_as_clients_do(system):
    for protocol in (2, 3):
        with redis.Redis.from_url(system.url("crawler"), client_name="harbour", protocol=protocol) as client:
            assert client.ping()
            assert client.client_id() > 0
            assert client.client_getname() in (b"harbour", "harbour")


def test_tokens_without_an_expiry_are_removed(system, crawler):
    crawler.set("once:crawler:for-ever", "x" * 1000)
    crawler.set("once:crawler:for-years", "x", ex=10**9)
    crawler.set("once:crawler:mine", "x", ex=600)
    with system.client("worker") as worker:
        assert remove_lasting_tokens(worker) == 2
        assert worker.exists("once:crawler:mine") == 1
        assert worker.exists("once:crawler:for-ever", "once:crawler:for-years") == 0


METRICS_MAY_NOT = ("XADD documents * raw x", "XRANGE documents - +", "XREAD STREAMS documents 0", "XRANGE replies:crawler:x - +", "XDEL documents 1-1", "DEL documents", "SET copydesk:x 1",
                   "GET once:crawler:x", "LPUSH copydesk x", "CONFIG GET *", "CLIENT TRACKING ON BCAST", "SUBSCRIBE x", "KEYS *", "FCALL copydesk_submit 0",
                   "XTRIM documents MAXLEN 0", "XGROUP DESTROY documents copydesk", "HDEL copydesk:lanes:paused x")  # fmt: skip
FLOWER_MAY_NOT = ("XADD documents * raw x", "XREAD STREAMS documents 0", "LPUSH copydesk x", "XREAD STREAMS replies:crawler:x 0", "GET once:crawler:x",
                  "SET copydesk:slow-down 9", "HGETALL copydesk:lanes:paused", "CONFIG GET *", "CLIENT TRACKING ON BCAST", "SUBSCRIBE x",
                  "PSUBSCRIBE *", "KEYS *", "FLUSHALL", "ACL LIST")  # fmt: skip


@pytest.mark.parametrize(
    ("user", "command"),
    [*(("metrics", one) for one in METRICS_MAY_NOT), *(("flower", one) for one in FLOWER_MAY_NOT)],
)
def test_a_monitoring_user_changes_nothing_and_reads_no_receipts(system, user, command):
    words = ["EVAL", "return 0", "0"] if command.startswith("EVAL") else command.split()
    with system.client(user) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*words)


def test_a_script_of_the_exporter_changes_nothing(system):
    for command in ("'DEL', KEYS[1]", "'XADD', KEYS[1], '*', 'raw', 'x'", "'XTRIM', KEYS[1], 'MAXLEN', 0"):
        with system.client("metrics") as client, pytest.raises(redis.ResponseError, match=r"permission|access"):
            client.eval(f"return redis.call({command})", 1, "documents")


def test_the_exporter_reads_a_lane_with_waiting_and_pending_entries(system):
    lane = "documents:waits"
    with system.client("worker") as client:
        queue = LeaseQueue(client, lane)
        queue.ensure()
        for _ in range(2):
            client.xadd(lane, {"raw": DOCUMENT})
        for wanted in (0, 1):
            with system.client("metrics") as user:
                seen = LeaseQueue(user, lane)
                assert (seen.state().backlog, seen.counts().pending) == (2, wanted)
            queue.dispatch(limit=1, pending_cap=10, max_bytes=1 << 20)
        client.delete(lane)


def test_the_exporter_reads_all_its_figures(system):
    address = f"127.0.0.1:{free_port()}"
    with Background(
        "metrics", "--listen", address, cwd=system.folder, COPYDESK_REDIS_URL=system.url("metrics"), **system.settings
    ) as metrics:
        metrics.says("Prometheus finds the metrics")
        served = urllib.request.urlopen(f"http://{address}/metrics", timeout=20).read().decode()
    assert 'copydesk_up{server="redis"} 1.0' in served, metrics.text()
    assert 'copydesk_workers{state="consuming"} 1.0' in served
    assert "copydesk_pool_processes" in served


def test_flower_sees_workers_queues_and_events(system):
    """What Flower and the Celery exporter request through Celery's own interface, with their user."""
    app = celery.Celery(broker=system.url("flower").replace("unix://", "redis+socket://", 1))
    app.conf.broker_transport_options = {"socket_timeout": 20}
    inspected = app.control.inspect(timeout=30, limit=1)  # it waits for one reply, not for the time-out
    for method in ("stats", "active", "registered", "active_queues", "conf", "scheduled", "reserved", "revoked"):
        assert getattr(inspected, method)(), method
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": print})
        app.control.enable_events()
        with contextlib.suppress(TimeoutError):
            receiver.capture(limit=1, timeout=3, wakeup=True)
        assert connection.default_channel.client.llen("copydesk") >= 0
    app.close()


def test_an_anonymous_client_is_refused(system):
    with redis.Redis(unix_socket_path=str(system.server.socket)) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


@pytest.mark.parametrize("command", ["FLUSHALL", "SHUTDOWN", "CONFIG SET dir /tmp", "ACL SETUSER x on", "MODULE LIST"])
@pytest.mark.parametrize("user", ["worker", "operator"])
def test_no_user_can_empty_or_take_over_the_server(system, user, command):
    with system.client(user) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())


def test_a_worker_touches_its_own_keys_only(system):
    with system.client("worker") as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.get("somebody-elses")


def test_an_operator_can_run_every_operator_command(system):
    ok = {0}
    submitted = system.copydesk("submit", "--wait", "--json", VALID)
    assert submitted.returncode == 0, submitted.stderr
    assert results(submitted.stdout)[1]["submitted"] > 5
    assert system.copydesk("submit", "--wait", ROOT / "schemas/examples/invalid").returncode == 1
    for words in (
        "status", "status --json", "audit", "dead list", "dead show 1", "dead replay --code no_title --yes", "lane repair documents",
        "dead discard --code utf16 --reason test --yes", "explain market-hall-with-body.md", "db current",
        "retract market-hall-with-body.md --yes", "lane repair documents --yes",
    ):  # fmt: skip
        ran = system.copydesk(*words.split())
        assert ran.returncode in ok, f"{words}: {ran.stdout}{ran.stderr}"
        assert "permission" not in (ran.stdout + ran.stderr).lower()


def test_celerys_own_commands_work_for_a_worker(system):
    call = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker.runtime.app", "inspect", "registered", "--timeout", "30", "--destination", f"copydesk@{socket.gethostname()}"],
        cwd=system.folder, env=environment(COPYDESK_REDIS_URL=system.url("worker"), **system.settings), capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "copydesk.ingest" in call.stdout, call.stderr
    assert "copydesk.submit" in call.stdout


def test_damage_by_a_crawler_to_its_lane_is_found_and_repaired(system, crawler):
    """The attacks, with the rights of a crawler; documents that it sends during and after them are still accepted."""
    assert system.copydesk("audit").returncode == 0
    crawler.execute_command("XADD", "documents", LARGEST, "raw", DOCUMENT)
    with pytest.raises(redis.ResponseError, match="exhausted"):
        crawler.xadd("documents", {"raw": DOCUMENT})
    found = system.copydesk("audit")
    assert found.returncode == 4
    assert "blocked" in found.stdout
    assert "copydesk lane repair documents" in found.stdout
    assert "blocked" in system.copydesk("status").stdout
    assert "would give its entries current ids" in system.copydesk("lane", "repair", "documents").stdout
    assert system.copydesk("lane", "repair", "documents", "--yes").returncode == 0
    id_ = crawler.xadd(
        "documents", {"raw": DOCUMENT.replace("Ferry", "Ship"), "reply_to": "replies:crawler:after"}
    ).decode()
    ((_, [(_, fields)]),) = crawler.xread({"replies:crawler:after": "0"}, count=1, block=20_000)
    receipt = json.loads(fields[b"receipt"])
    assert (receipt["id"], receipt["outcome"]) == (id_, "updated"), (
        "an id from the future does not stay the newest for ever"
    )
    until(lambda: system.copydesk("audit").returncode == 0, what="the sum holds")
    crawler.execute_command("XADD", "documents", "MAXLEN", "0", "*", "raw", "x")
    found = system.copydesk("audit")
    assert found.returncode == 4
    assert re.search(r"1 entries vanished from lane documents", found.stdout), found.stdout
    assert "vanished" in system.copydesk("status").stdout
    assert system.copydesk("lane", "repair", "documents", "--yes").returncode == 0
    assert system.copydesk("audit").returncode == 0
