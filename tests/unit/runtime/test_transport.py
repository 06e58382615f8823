"""What lies on Celery's list is checked before kombu stumbles over it."""

import base64
import time

import pytest

from worker.runtime.transport import Channel, _fault

TASK = {
    "body": base64.b64encode(b'[["documents", ["1-1"]], {}, {}]').decode(),
    "headers": {"task": "copydesk.ingest", "id": "1"},
    "properties": {"delivery_tag": "t", "delivery_info": {"routing_key": "copydesk"}, "body_encoding": "base64"},
}


def test_a_task_is_let_through():
    assert _fault(TASK, is_task=True) is None


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
        {**TASK, "headers": []},
        {**TASK, "headers": {"task": "copydesk.ingest"}},
        {**TASK, "headers": {"id": "1"}},
    ],
)  # fmt: skip
def test_anything_else_is_named(message):
    assert _fault(message, is_task=True)


def test_a_control_message_needs_no_task():
    assert _fault({**TASK, "headers": {}}, is_task=False) is None


def test_a_subscription_that_stays_silent_does_not_hold_the_main_process(redis_client):
    with redis_client.pubsub() as subscription:
        subscription.subscribe("copydesk.pidbox")
        assert subscription.parse_response()[0] == b"subscribe"
        started = time.monotonic()
        assert Channel._receive_one(object.__new__(Channel), subscription) is None
        assert time.monotonic() - started < 5
