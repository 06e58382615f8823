"""Keys in Redis that another program has overwritten, with another type or with other content, while a worker runs."""

from __future__ import annotations

import json

import pytest

from tests.support.runtime_hooks import article
from tests.support.servers import Background, copydesk, until
from tests.unit.producer.test_task_message import message
from worker.activity.heartbeats import workers
from worker.queue import keys
from worker.settings import INTERNAL_LANE


def overwrite(client, key):
    """Replace a key by one of another type, at once."""
    if client.type(key) == b"string" or key in (keys.MAINTAINED, keys.ROLLED_UP, keys.TOKEN_CURSOR):
        with client.pipeline() as pipe:
            pipe.delete(key)
            pipe.lpush(key, "junk")
            pipe.execute()
    else:
        client.set(key, "junk")


@pytest.fixture(scope="module")
def system(valkey, migrated_sqlite, tmp_path_factory):
    """(the folder of a running worker with two lanes, its settings, its log)."""
    folder = tmp_path_factory.mktemp("wrong-keys")
    migrated_sqlite(folder / "copydesk.db")
    settings = {
        "COPYDESK_REDIS_URL": valkey.url,
        "COPYDESK_DATA_DIR": str(folder),
        "COPYDESK_LINK": "false",
        "COPYDESK_LANES": "documents=4,bulk",
    }
    valkey.client().flushall()
    with Background("worker", "--concurrency", "1", cwd=folder, **settings) as worker:
        until(lambda: [one for one in workers(valkey.client()) if one.is_consuming], what="the worker consumes")
        yield folder, settings, worker


@pytest.fixture
def client(system, valkey):
    return valkey.client()


def logged(worker):
    """Return (event, error) of each line of the log."""
    lines = map(json.loads, worker.log.read_text("utf-8").splitlines())
    return [(line["event"], line.get("error", "")) for line in lines]


_numbers = iter(range(1, 1000))


def outcome(client, lane="documents", *, within=20):
    """Send a document and return its outcome."""
    number = next(_numbers)
    client.xadd(lane, {"raw": article(number), "key": str(number), "reply_to": f"replies:{number}"})
    reply = client.xread({f"replies:{number}": "0"}, count=1, block=within * 1000)
    return json.loads(reply[0][1][0][1][b"receipt"])["outcome"] if reply else None


@pytest.mark.parametrize("lane", [INTERNAL_LANE, "bulk"])
def test_a_lane_that_is_no_stream_stops_no_other_lane_and_is_named_and_repaired(system, client, lane):
    folder, settings, worker = system
    overwrite(client, lane)
    error = f"its key {lane} holds a string instead of a stream"
    until(lambda: ("A lane is not a stream", error) in logged(worker), seconds=20, what="it is logged")
    assert outcome(client) == "stored"
    assert "Redis cannot be used" not in worker.log.read_text("utf-8")
    sentence = f"lane {lane} cannot be used: {error}"
    for command in ("status", "health", "audit"):
        shown = copydesk(command, cwd=folder, COLUMNS="300", **settings)
        assert sentence in shown.stdout, command
        assert "does not answer" not in shown.stdout + shown.stderr
    assert lane == INTERNAL_LANE or error in copydesk("lane", "list", cwd=folder, COLUMNS="300", **settings).stdout
    assert client.get("copydesk:slow-down") is not None, "the producers of the other lanes are served"

    dry = copydesk("lane", "repair", lane, cwd=folder, **settings)
    assert f"would be renamed to copydesk:foreign:{lane}" in dry.stdout
    assert client.get(lane) == b"junk"
    assert copydesk("lane", "repair", lane, "--yes", cwd=folder, **settings).returncode == 0
    assert client.get(f"copydesk:foreign:{lane}") == b"junk"
    until(
        seconds=20,
        condition=lambda: sentence not in copydesk("health", cwd=folder, **settings).stdout,
        what="it is repaired",
    )
    if lane != INTERNAL_LANE:
        assert outcome(client, lane) == "stored"


OWN = sorted({**keys.SHARED_TYPES, **keys.types_of_lane("documents")}.keys() - {keys.aside("documents")})


@pytest.mark.parametrize("key", OWN)
def test_a_key_that_only_copydesk_writes_is_renamed_and_documents_are_processed(system, client, key):
    _, _, worker = system
    overwrite(client, key)
    assert outcome(client) == "stored"
    until(seconds=20, condition=lambda: client.exists(keys.FOREIGN + key), what="it is renamed")
    assert "Redis cannot be used" not in worker.log.read_text("utf-8")
    assert outcome(client) == "stored"


def test_a_celery_task_for_a_lane_that_is_no_stream_stops_no_other_and_is_replayed_after_the_repair(system, client):
    folder, settings, _ = system
    overwrite(client, "bulk")
    for lane in ("bulk", "documents"):
        client.lpush("copydesk", message([article(lane)], {"lane": lane, "key": lane, "reply_to": f"replies:{lane}"}))
    for lane, outcome in (("bulk", "rejected"), ("documents", "stored")):
        (_, ((_, fields),)) = client.xread({f"replies:{lane}": "0"}, count=1, block=20_000)[0]
        receipt = json.loads(fields[b"receipt"])
        assert receipt["outcome"] == outcome, receipt
    assert copydesk("lane", "repair", "bulk", "--yes", cwd=folder, **settings).returncode == 0
    replayed = copydesk("dead", "replay", "--code", "lane_unusable", "--yes", cwd=folder, **settings)
    assert replayed.returncode == 0, replayed.stderr
    until(
        lambda: copydesk("explain", "bulk", cwd=folder, **settings).stdout.startswith("article"),
        seconds=20,
        what="it is stored",
    )


def test_overwritten_counters_of_a_minute_are_named_and_the_rest_is_shown(system, client):
    folder, settings, _ = system
    key = keys.minute(int(client.time()[0] // 60) - 3)
    overwrite(client, key)
    for command in ("status", "health"):
        shown = copydesk(command, cwd=folder, COLUMNS="300", **settings)
        assert f"Counters cannot be read: {key} holds something else" in shown.stdout, command
        assert shown.stdout.count(key) == 2, "in one sentence"
    assert "documents: " in copydesk("audit", cwd=folder, **settings).stdout
    client.delete(key)


def test_changes_that_cannot_be_published_are_logged(system, client):
    _, _, worker = system
    overwrite(client, keys.CHANGE_FEED)
    assert outcome(client) == "stored"
    until(lambda: "Changes could not be published" in dict(logged(worker)), seconds=20, what="it is logged")
    client.delete(keys.CHANGE_FEED)


def test_a_number_that_cannot_be_read_is_removed_and_said_once(system, client):
    _, _, worker = system
    client.hset(keys.outcomes("documents"), "stored", "abc")
    said = ("A value in a key was no number", "the field stored of copydesk:outcomes:documents was abc")
    until(seconds=20, condition=lambda: said in logged(worker), what="it is logged")
    assert outcome(client) == "stored"
    until(lambda: client.hget(keys.outcomes("documents"), "stored") == b"1", seconds=20, what="it counts again")
    assert logged(worker).count(said) == 1


def of_minute(client):
    return keys.minute(int(client.time()[0] // 60))


CONTENT = {
    "an outcome": lambda client: client.hset(keys.outcomes("documents"), "x", "abc"),
    "the count of an outcome": lambda client: client.hset(keys.outcomes("documents"), "rejected", "abc"),
    "a fraction": lambda client: client.hset(keys.outcomes("documents"), "x", "1.5"),
    "bytes": lambda client: client.hset(keys.outcomes("documents"), b"\xff", b"\xff"),
    "the time of the last check": lambda client: client.set(keys.clock("documents"), "abc"),
    "when a lane was resumed": lambda client: client.hset(keys.RESUMED_LANES, mapping={"documents": "abc", b"\xff": "nan"}),
    "when a source was resumed": lambda client: client.hset(keys.resumed_sources("documents"), "s", "abc"),
    "another worker": lambda client: [
        client.zadd(keys.WORKERS, {"x:1": client.time()[0], b"\xff": 9e15}), client.hset(keys.worker("x:1"), "name", b"\xff")
    ],
    "the delay of producers": lambda client: client.mset({keys.SLOW_DOWN: "abc", keys.slow_down("documents"): "nan"}),
    "the cursor": lambda client: client.set(keys.TOKEN_CURSOR, "abc"),
    "counters": lambda client: client.hset(of_minute(client), "a\x1fdocuments", "zz"),
    "an entry of the feed": lambda client: client.xadd(keys.OUTCOME_FEED, {"told": "{"}),
}  # fmt: skip


@pytest.mark.parametrize("overwrite_value", CONTENT.values(), ids=CONTENT)
def test_a_value_that_cannot_be_read_stops_neither_the_worker_nor_a_command(system, client, overwrite_value):
    folder, settings, worker = system
    overwrite_value(client)
    for command in (["status"], ["health"], ["audit"], ["lane", "list"], ["tail", "--last", "3", "--seconds", "0.1"]):
        shown = copydesk(*command, cwd=folder, **settings)
        assert "Traceback" not in shown.stdout + shown.stderr, command
        assert shown.returncode == 0 or command in (["health"], ["audit"]), shown.stderr
    assert outcome(client) == "stored"
    log = worker.log.read_text("utf-8")
    assert not [event for event, _ in logged(worker) if "failed" in event]
    assert "Redis cannot be used" not in log
