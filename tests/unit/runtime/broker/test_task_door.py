"""A message taken from Celery's queue waits in the worker until Redis accepts it again."""

import pytest
import redis

from tests.unit.producer.test_task_message import DOCUMENT, message
from worker.runtime.broker import task_door
from worker.settings import INTERNAL_LANE, Settings


def test_a_message_that_cannot_be_added_is_added_later_and_once(redis_client):
    assert task_door.take(message([DOCUMENT]), Settings()) is None
    assert task_door.take(b"garbage", Settings()) is None
    with pytest.raises(redis.ConnectionError):
        task_door.place(redis.Redis(unix_socket_path="/nowhere.sock"))
    redis_client.set("documents", "no stream")
    task_door.place(redis_client)
    assert task_door.has_waiting()
    redis_client.delete("documents")
    task_door.place(redis_client)
    assert not task_door.has_waiting()
    assert [fields for _, fields in redis_client.xrange("documents")] == [{b"raw": DOCUMENT.encode()}]
    ((_, stored),) = redis_client.xrange(INTERNAL_LANE)
    assert (stored[b"raw"], stored[b"source"]) == (b"garbage", b"documents")


def test_the_fixed_source_of_a_lane_applies_to_celery_messages(redis_client):
    config = Settings(lanes="agency=1@reuters")
    task_door.take(message([], {"raww": DOCUMENT, "source": "other"}), config)
    task_door.place(redis_client)
    ((_, stored),) = redis_client.xrange(INTERNAL_LANE)
    assert stored[b"source"] == b"reuters"
