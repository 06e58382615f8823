"""Messages on Celery's list are checked before kombu fails on them."""

import base64
import json
import time

import kombu.transport
import pytest
from kombu import Connection, Exchange, Queue

from tests.support.servers import until
from worker.runtime.app import configuration
from worker.runtime.broker.transport import Channel, Transport, _fault
from worker.settings import Settings

TASK = {
    "body": base64.b64encode(b'[["documents", ["1-1"]], {}, {}]').decode(),
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "headers": {"task": "copydesk.ingest", "id": "1"},
    "properties": {"delivery_tag": "t", "delivery_info": {"routing_key": "copydesk"}, "body_encoding": "base64"},
}


def test_a_valid_task_is_later_on():
    assert _fault(TASK) is None


@pytest.mark.parametrize(
    "message",
    [
        None, 5, [], "text", {}, {"a": 1},
        {**TASK, "properties": None},
        {**TASK, "properties": {**TASK["properties"], "delivery_tag": None}},
        {**TASK, "properties": {**TASK["properties"], "delivery_info": []}},
        {**TASK, "properties": {**TASK["properties"], "body_encoding": "zip"}},
        {**TASK, "body": None},
        {**TASK, "body": "!!!"},
        {**TASK, "headers": [1]},
    ],
)  # fmt: skip
def test_the_fault_of_any_other_message_is_named(message):
    assert _fault(message)


def test_a_control_message_needs_no_task():
    assert _fault({**TASK, "headers": {}}) is None


def test_a_silent_subscription_does_not_block_the_main_process(redis_client):
    with redis_client.pubsub() as subscription:
        subscription.subscribe("copydesk.pidbox")
        assert subscription.parse_response()[0] == b"subscribe"
        started = time.monotonic()
        for _ in range(20):
            assert Channel._receive_one(object.__new__(Channel), subscription) is None
        assert time.monotonic() - started < 10, "each claim check would wait for it"


@pytest.fixture
def connection(valkey, redis_client, monkeypatch):
    """A connection of kombu's with this transport."""
    # kombu caches the transport of a scheme at its first use in this process.
    monkeypatch.setitem(kombu.transport._transport_cache, "redis", Transport)
    options = configuration(Settings())["broker_transport_options"]
    url = valkey.url.replace("unix://", "redis+socket://", 1)
    with Connection(url, transport_options=options) as connection:
        yield connection


QUEUE = Queue("copydesk", Exchange("copydesk"), "copydesk")
KNOWN = {**TASK["properties"], "delivery_info": {"exchange": "copydesk", "routing_key": "copydesk"}}
MESSAGE = json.dumps({**TASK, "properties": KNOWN}).encode()


def test_a_fetched_message_leaves_no_record_in_redis_and_is_not_put_back(connection, redis_client):
    redis_client.rpush("copydesk", MESSAGE)
    channel = connection.channel()
    QUEUE(channel).declare()
    keys = set(redis_client.keys())
    assert channel.basic_get("copydesk") is not None
    assert set(redis_client.keys()) == keys - {b"copydesk"}
    connection.release()
    assert set(redis_client.keys()) == keys - {b"copydesk"}


def test_a_message_that_comes_while_the_channel_closes_is_put_back(connection, redis_client):
    received = []
    channel = connection.channel()
    channel.connection.cycle.add(channel)
    with connection.Consumer(QUEUE, channel=channel, callbacks=[lambda *message: received.append(message)]):
        channel.connection.cycle.on_poll_start()
        redis_client.rpush("copydesk", MESSAGE, MESSAGE)
        until(lambda: redis_client.llen("copydesk") == 1, what="the server has sent it")
    channel.close()
    assert received == []
    assert redis_client.lrange("copydesk", 0, -1) == [MESSAGE, MESSAGE]
