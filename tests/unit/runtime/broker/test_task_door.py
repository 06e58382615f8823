"""A message taken from Celery's queue waits in the worker until Redis accepts it again."""

import json

import pytest
import redis

from tests.unit.producer.test_task_message import DOCUMENT, message
from worker.runtime.broker import task_door
from worker.settings import INTERNAL_LANE, Settings


def test_a_message_that_cannot_be_added_is_added_later_and_once(redis_client):
    assert task_door.take(message([DOCUMENT]), Settings()) is None
    assert task_door.take(b"garbage", Settings()) is None
    with pytest.raises(redis.ConnectionError):
        task_door.place(redis.Redis(unix_socket_path="/nowhere.sock"), Settings())
    redis_client.execute_command("ACL", "SETUSER", "default", "-xadd")
    try:
        task_door.place(redis_client, Settings())
    finally:
        redis_client.execute_command("ACL", "SETUSER", "default", "+@all")
    assert task_door.has_waiting()
    task_door.place(redis_client, Settings())
    assert not task_door.has_waiting()
    assert [fields for _, fields in redis_client.xrange("documents")] == [{b"raw": DOCUMENT.encode()}]
    ((_, stored),) = redis_client.xrange(INTERNAL_LANE)
    assert (stored[b"raw"], stored[b"source"]) == (b"garbage", b"documents")


@pytest.mark.parametrize("how", ["no stream", "no id is left"])
@pytest.mark.parametrize(("lane", "source"), [("bulk", b"app"), ("agency", b"reuters")])
def test_a_document_for_a_lane_that_takes_no_entries_becomes_a_dead_letter(redis_client, lane, source, how):
    config = Settings(lanes="documents,bulk,agency=1@reuters")
    if how == "no stream":
        redis_client.set(lane, "no stream")
    else:
        redis_client.xadd(lane, {"raw": ""}, id=f"{2**64 - 1}-{2**64 - 1}")
    arguments = {"lane": lane, "source": "app", "key": "k", "reply_to": "replies:app"}
    task_door.take(message([DOCUMENT], arguments), config)
    task_door.take(message([DOCUMENT]), config)
    task_door.place(redis_client, config)
    assert not task_door.has_waiting()
    assert redis_client.xlen("documents") == 1
    ((_, stored),) = redis_client.xrange(INTERNAL_LANE)
    found = json.loads(stored.pop(b"problem"))
    assert (found["code"], found["message"]) == ("lane_unusable", f"The lane {lane} could take no documents.")
    assert stored == {b"raw": DOCUMENT.encode(), b"source": source, b"key": b"k", b"reply_to": b"replies:app"}


def test_a_document_beyond_the_limit_is_cut_in_its_dead_letter(redis_client):
    config = Settings(max_document_bytes=100_000)
    redis_client.set("documents", "no stream")
    task_door.take(message([DOCUMENT + "x" * 100_000]), config)
    task_door.place(redis_client, config)
    ((_, stored),) = redis_client.xrange(INTERNAL_LANE)
    assert (len(stored[b"raw"]), stored[b"raw_size"]) == (65_536, b"%d" % (len(DOCUMENT) + 100_000))


def test_the_fixed_source_of_a_lane_applies_to_celery_messages(redis_client):
    config = Settings(lanes="agency=1@reuters")
    task_door.take(message([], {"raww": DOCUMENT, "source": "other"}), config)
    task_door.place(redis_client, config)
    ((_, stored),) = redis_client.xrange(INTERNAL_LANE)
    assert stored[b"source"] == b"reuters"
