"""Garbage on Celery's own keys while a worker runs: documents are processed without a delay, and the worker does not
restart.
"""

import base64
import json
import time
from collections.abc import Callable

import pytest

from tests.support.servers import Background, until

SOON = 30  # seconds; a worker that restarts is back in three on an idle machine
KEYS = ["copydesk", "copydesk\x06\x163", "_kombu.binding.copydesk", "_kombu.binding.celery.pidbox",
        "_kombu.binding_permanent.copydesk"]  # fmt: skip
TYPES: dict[str, Callable] = {
    "string": lambda client, key: client.set(key, "garbage"),
    "list": lambda client, key: client.rpush(key, "garbage"),
    "hash": lambda client, key: client.hset(key, "garbage", "garbage"),
    "set": lambda client, key: client.sadd(key, "garbage", b"\xff\x00", "a\x06\x16b\x06\x16c\x06\x16d"),
    "zset": lambda client, key: client.zadd(key, {"garbage": 0}),
    "stream": lambda client, key: client.xadd(key, {"garbage": "garbage"}),
}


def task(headers=None, properties=None, body=([], {}, {})):
    """Return a message as Celery sends it, with one part changed."""
    return json.dumps({
        "body": base64.b64encode(json.dumps(body).encode()).decode(), "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "copydesk.ingest", "id": "1", "argsrepr": "", **(headers or {})},
        "properties": {"delivery_tag": "t", "delivery_mode": 2, "delivery_info": {"exchange": "copydesk", "routing_key": "copydesk"},
                       "body_encoding": "base64", **(properties or {})},
    })  # fmt: skip


MESSAGES = [
    task(body=5), task(body=[1]), task(body=[[], {}]), task(body=[[None, None], {}, {}]), task(body=[[[], {}], {}, {}]),
    task(body=[["documents", ["x", "", None]], {}, {}]), task(body=[["unacked", ["1-1"]], {}, {}]),
    task(body=[["documents", "1-1"], {"a": 1}, {}]), task(headers={"task": "no.such.task"}), task(headers={"id": "\0" * 1000}),
    task(headers={"eta": "garbage"}), task(headers={"eta": 5}), task(headers={"expires": "garbage"}), task(headers={"expires": {}}),
    task(headers={"timelimit": "garbage"}), task(headers={"timelimit": [{}, "x"]}), task(headers={"retries": "x"}),
    task(headers={"kwargsrepr": 5, "argsrepr": {}}), task(headers={"root_id": [], "parent_id": {}, "group": 5}),
    task(headers={"lang": None, "origin": 7, "shadow": 5}), task(headers={"stamped_headers": 5, "stamps": "x"}),
    task(headers={"eta": "9999-12-31T23:59:59"}), task(headers={"chord": 1, "callbacks": 2, "errbacks": "x", "chain": 5}),
    task(properties={"reply_to": 5, "correlation_id": []}), task(properties={"delivery_info": {}}),
    task(properties={"delivery_info": {"exchange": 5, "routing_key": []}}), task(properties={"priority": "x"}),
    task(properties={"delivery_tag": "\x00\xff" * 500}), "[" * 100_000, '{"a":' * 100_000, "9" * 100_000, "NaN", '"\\ud800"',
    json.dumps({**json.loads(task()), "content-type": "application/x-python-serialize"}),
    json.dumps({**json.loads(task()), "content-encoding": "no such encoding"}),
    json.dumps({**json.loads(task()), "content-type": 5, "content-encoding": []}),
    json.dumps({**json.loads(task()), "headers": {"compression": "zlib", "task": "copydesk.ingest", "id": "1"}}),
    json.dumps({**json.loads(task()), "body": base64.b64encode(b"\xff\xfe{").decode()}),
    '{"__type__": "datetime", "__value__": {}}', '{"__type__": "decimal", "__value__": "x"}', '{"__type__": "bytes", "__value__": 5}',
    b"\xff\xfe\x00", b"",
]  # fmt: skip


@pytest.fixture(scope="module")
def worker(valkey, tmp_path_factory, migrated_sqlite):
    folder = tmp_path_factory.mktemp("garbage")
    migrated_sqlite(folder / ".copydesk" / "copydesk.db")
    with Background("worker", cwd=folder, COPYDESK_REDIS_URL=valkey.url) as worker, valkey.client() as client:
        push(client, 1)
        until(lambda: settled(client) == 1, what="the worker is ready")
        yield worker


def push(client, count):
    for _ in range(count):
        number = client.incr("test:number")
        client.xadd("documents", {"raw": f"---\ntitle: T\nwebUrl: https://garbage.example/{number}\n---\n"})


def settled(client):
    return sum(map(int, client.hvals("copydesk:outcomes:documents")))


def goes_on(client, worker, garbage):
    """Submit documents before, with and after `garbage()`; the same process settles all of them soon, without
    reconnecting.
    """
    restarts = worker.text().count("Connection to broker lost")
    push(client, 5)
    garbage()
    began = time.monotonic()
    push(client, 5)
    wanted = client.xinfo_stream("documents")["entries-added"]
    while settled(client) < wanted:
        assert time.monotonic() - began < SOON, worker.text()[-3000:]
        time.sleep(0.02)
    assert worker.process.poll() is None
    assert worker.text().count("Connection to broker lost") == restarts


def replace(client, key, kind):
    with client.pipeline() as pipe:  # in one transaction, because the worker would write in between
        pipe.delete(key)
        TYPES[kind](pipe, key)
        pipe.execute()


@pytest.mark.parametrize("key", KEYS)
def test_a_celery_key_of_another_type_stops_nothing(key, worker, valkey):
    with valkey.client() as client:
        goes_on(client, worker, lambda: replace(client, key, "string"))


@pytest.mark.long
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("key", KEYS)
def test_any_celery_key_of_another_type_stops_nothing(key, kind, worker, valkey):
    with valkey.client() as client:
        goes_on(client, worker, lambda: replace(client, key, kind))


def test_foreign_messages_stop_nothing(worker, valkey):
    with valkey.client() as client:
        goes_on(client, worker, lambda: client.rpush("copydesk", *MESSAGES))


@pytest.mark.long
@pytest.mark.parametrize("message", MESSAGES, ids=range(len(MESSAGES)))
def test_any_foreign_message_stops_nothing(message, worker, valkey):
    with valkey.client() as client:
        goes_on(client, worker, lambda: client.rpush("copydesk", message))
