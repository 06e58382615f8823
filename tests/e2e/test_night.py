"""What an operator must be able to do in an incident: see that a worker hangs, drain a lane, continue after Redis lost
its data.
"""

from __future__ import annotations

import json
import os
import shutil
import signal

import pytest

from tests.e2e.documents import document
from tests.support.servers import Background, Valkey, copydesk, until
from worker.activity.heartbeats import workers

pytestmark = [pytest.mark.timeout(300), pytest.mark.long]


@pytest.fixture
def server():
    """A Valkey of this test's own, which the test may kill and empty."""
    valkey = Valkey().start()
    yield valkey
    valkey.stop()


@pytest.fixture
def run(tmp_path, server):
    """`run(…)`: a command with the settings of the worker."""

    def command(*arguments, code=0):
        done = copydesk(*arguments, cwd=tmp_path, COPYDESK_REDIS_URL=server.url)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    command("status", "--json")  # creates the store
    command.settings = {"cwd": tmp_path, "COPYDESK_REDIS_URL": server.url}
    return command


def push(client, n):
    return client.xadd("documents", {"raw": document(n, 10), "source": "crawler", "key": f"{n}.md"}).decode()


def status(run):
    return json.loads(run("status", "--json").stdout)


def test_a_lane_drains_before_an_upgrade_and_a_hanging_worker_is_reported(run, server):
    with server.client() as client, Background("worker", "--concurrency", "1", **run.settings) as worker:
        push(client, 1)
        until(lambda: client.xlen("documents") == 0, what="it works")
        run("lane", "pause", "documents", "--reason", "upgrade")
        until(lambda: status(run)["lanes"][0]["paused"], what="the pause is shown")
        until(lambda: status(run)["workers"][0]["state"] == "paused", what="the worker has seen it")
        waiting = push(client, 2)
        assert "1 wait on paused lanes" in run("status", "--wait-drained", "--timeout", "20").stderr
        shown = run("status").stdout
        assert "is paused by" in shown
        assert "copydesk lane resume documents" in shown
        explained = json.loads(run("explain", waiting, "--json").stdout)
        assert (explained["pending"][0]["state"], explained["pending"][0]["key"]) == ("waiting", "2.md")
        run("lane", "resume", "documents")
        assert "nothing waits" in run("status", "--wait-drained", "--timeout", "30").stderr
        # Now stop the process that sends heartbeats, and all its children.
        stopped = [int(found["pid"]) for found in _workers(client)]
        assert stopped
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            push(client, 3)
            until(lambda: status(run)["workers"] == [], what="it is missed", every=1)
            assert "No worker is alive" in run("status").stdout
            run("health", code=4)
            run("status", "--wait-drained", "--timeout", "1", code=5)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        assert worker.process.poll() is None


def _workers(client):
    for key in client.scan_iter("copydesk:worker:*"):
        yield {name.decode(): value.decode() for name, value in client.hgetall(key).items()}


def test_a_worker_continues_after_redis_lost_its_data(run, server, tmp_path):
    with server.client() as client:
        with Background("worker", "--concurrency", "1", **run.settings):
            first = push(client, 1)
            until(lambda: client.xlen("documents") == 0, what="the first is stored")
        push(client, 2)  # data that only Redis has
        server.kill()
        for left in server.folder.iterdir():
            if left.name.startswith("appendonly"):
                shutil.rmtree(left)
        server.start()
        with Background("worker", "--concurrency", "1", **run.settings):
            again, lost = push(client, 1), push(client, 2)
            until(lambda: client.xlen("documents") == 0, what="they have their outcome")
            outcomes = {
                id_: json.loads(run("explain", id_, "--json").stdout)["receipts"] for id_ in (first, again, lost)
            }
            found = {id_: next(r["outcome"] for r in receipts if r["id"] == id_) for id_, receipts in outcomes.items()}
            assert found == {first: "stored", again: "unchanged", lost: "stored"}
            until(lambda: any(one.is_consuming for one in workers(client)), what="the worker says that it consumes")
            run("health")
            run("audit")
