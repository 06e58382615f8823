"""The users of worker/deploy/users.acl, with that very file: each does its work, and a crawler nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import redis

from tests.guarded import GuardedDesk
from tests.servers import ROOT, VALID, environment, results, until
from worker.intake.producer import Producer
from worker.settings import INTERNAL_LANE

LARGEST = "18446744073709551615-18446744073709551615"
DOCUMENT = "---\ntitle: Ferry\nwebUrl: https://harbour-courier.example/ferry\n---\n"


@pytest.fixture(scope="module")
def desk():
    with GuardedDesk() as found:
        yield found


@pytest.fixture
def crawler(desk):
    with desk.client("crawler") as client:
        yield client


def test_a_crawler_sends_waits_and_is_told(desk):
    with Producer(desk.url("crawler"), source="harbour") as producer:
        id_ = producer.submit(DOCUMENT)
        assert producer.replies.startswith("replies:crawler:")
        assert producer.wait(id_).outcome == "stored"
        assert [producer.wait(id_).outcome for _, id_ in producer.submit_many([DOCUMENT] * 2)] == ["unchanged"] * 2
        assert producer.wait(producer.retract("https://harbour-courier.example/ferry")).outcome == "retracted"
    with desk.client("operator") as operator:
        told = {fields.get(b"outcome") for _, fields in operator.xrange("articles")}
    assert told >= {b"stored", b"retracted"}, "a worker may write the change feed"


def test_a_crawler_with_plain_commands(desk, crawler):
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
    ],
)  # fmt: skip
def test_a_crawler_may_do_nothing_else(crawler, command):
    words = command.split()
    if words[0] == "EVAL":
        words = ["EVAL", "return 0", "0"]
    with pytest.raises(redis.exceptions.NoPermissionError):
        crawler.execute_command(*words)


def test_the_stored_function_gives_a_crawler_no_other_lane(desk, crawler):
    with pytest.raises(redis.ResponseError, match=r"permission|access"):
        crawler.fcall("copydesk_submit", 1, "once:crawler:x", "other", 600, 2, "raw", "x")
    with pytest.raises(redis.exceptions.NoPermissionError):
        crawler.fcall("copydesk_submit", 1, "once:other:x", "documents", 600, 2, "raw", "x")
    with desk.client("operator") as operator:
        assert not operator.exists("other")


def test_nobody_without_a_name(desk):
    with redis.Redis(unix_socket_path=str(desk.server.socket)) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


@pytest.mark.parametrize("command", ["FLUSHALL", "SHUTDOWN", "CONFIG SET dir /tmp", "ACL SETUSER x on", "MODULE LIST"])
@pytest.mark.parametrize("user", ["worker", "operator"])
def test_nobody_empties_or_takes_over_the_server(desk, user, command):
    with desk.client(user) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())


def test_a_worker_touches_its_own_keys_only(desk):
    with desk.client("worker") as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.get("somebody-elses")


def test_an_operator_does_all_of_an_operators_work(desk):
    ok = {0}
    submitted = desk.copydesk("submit", "--wait", "--json", VALID)
    assert submitted.returncode == 0, submitted.stderr
    assert results(submitted.stdout)[1]["submitted"] > 5
    assert desk.copydesk("submit", "--wait", ROOT / "schemas/examples/invalid").returncode == 1
    for words in (
        "status", "status --json", "audit", "dead list", "dead show 1", "dead replay --code no_title --yes", "lane repair documents",
        "dead discard --code utf16 --reason test --yes", "explain market-hall-with-body.md", "db current",
        "retract market-hall-with-body.md --yes", "lane repair documents --yes",
    ):  # fmt: skip
        ran = desk.copydesk(*words.split())
        assert ran.returncode in ok, f"{words}: {ran.stdout}{ran.stderr}"
        assert "permission" not in (ran.stdout + ran.stderr).lower()


def test_celerys_own_commands_work_for_a_worker(desk):
    asked = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker.runtime.app", "inspect", "registered", "--timeout", "10"],
        cwd=desk.folder, env=environment(COPYDESK_REDIS_URL=desk.url("worker"), **desk.settings), capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "copydesk.ingest" in asked.stdout, asked.stderr


def test_what_a_crawler_can_do_to_its_lane_is_found_and_repaired(desk, crawler):
    """The attacks with the rights of a crawler; what it tells in between and after is still taken."""
    assert desk.copydesk("audit").returncode == 0
    crawler.execute_command("XADD", "documents", LARGEST, "raw", DOCUMENT)
    with pytest.raises(redis.ResponseError, match="exhausted"):
        crawler.xadd("documents", {"raw": DOCUMENT})
    found = desk.copydesk("audit")
    assert found.returncode == 4
    assert "blocked" in found.stdout
    assert "copydesk lane repair documents" in found.stdout
    assert "blocked" in desk.copydesk("status").stdout
    assert "would bring" in desk.copydesk("lane", "repair", "documents").stdout
    assert desk.copydesk("lane", "repair", "documents", "--yes").returncode == 0
    id_ = crawler.xadd(
        "documents", {"raw": DOCUMENT.replace("Ferry", "Ship"), "reply_to": "replies:crawler:after"}
    ).decode()
    ((_, [(_, fields)]),) = crawler.xread({"replies:crawler:after": "0"}, count=1, block=20_000)
    receipt = json.loads(fields[b"receipt"])
    assert (receipt["id"], receipt["outcome"]) == (id_, "updated"), (
        "an id from the future does not stay the newest for ever"
    )
    until(lambda: desk.copydesk("audit").returncode == 0, what="the sum holds")
    crawler.execute_command("XADD", "documents", "MAXLEN", "0", "*", "raw", "x")
    found = desk.copydesk("audit")
    assert found.returncode == 4
    assert re.search(r"1 entries vanished from lane documents", found.stdout), found.stdout
    assert "vanished" in desk.copydesk("status").stdout
    assert desk.copydesk("lane", "repair", "documents", "--yes").returncode == 0
    assert desk.copydesk("audit").returncode == 0
