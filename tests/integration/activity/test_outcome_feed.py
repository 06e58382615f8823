"""The feed of outcomes: it is capped, and entries that others add are ignored."""

from __future__ import annotations

import pytest
import redis

from worker.activity.outcome_feed import OutcomeRecord, follow, publish, recent
from worker.queue.keys import OUTCOME_FEED as FEED


def row(n, **changes):
    fields = {
        "id": f"{n}-0",
        "source": "s",
        "outcome": "stored",
        "key": f"{n}.md",
        "url": f"https://e.example/{n}",
        "codes": [],
    }
    return tuple({**fields, **changes}.values())


def put(client, rows):
    with client.pipeline(transaction=False) as pipe:
        publish(pipe, lane="documents", worker="host:1", rows=rows)
        pipe.execute()


def test_outcomes_are_read_in_the_order_of_publication(redis_client):
    put(redis_client, [row(n, codes=["no_title"] if n == 2 else []) for n in range(250)])
    found, place = recent(redis_client, 1000)
    assert [one.id for one in found] == [f"{n}-0" for n in range(250)]
    assert found[2].codes == ("no_title",)
    assert [one.id for one in recent(redis_client, 3)[0]] == ["247-0", "248-0", "249-0"]
    assert recent(redis_client, 0)[0] == []
    following = follow(redis_client, place, block_seconds=0.1)
    assert next(following)[1] == []
    put(redis_client, [row(999)])
    assert [one.id for one in next(following)[1]] == ["999-0"]


def test_an_empty_feed_is_followed_from_its_beginning(redis_client):
    assert recent(redis_client, 10) == ([], "0")
    put(redis_client, [row(1)])
    assert [one.id for one in next(follow(redis_client, "0", block_seconds=0.1))[1]] == ["1-0"]


def test_the_size_of_the_feed_is_bounded_whatever_the_documents(redis_client):
    long = "x" * 100_000
    one = row(1, key=long, url=long, source=long, codes=["c" * 50] * 200)
    for _ in range(300):
        put(redis_client, [one] * 100)
    assert redis_client.xlen(FEED) <= 210
    assert redis_client.memory_usage(FEED) < 40_000_000


def test_foreign_entries_in_the_feed_are_ignored(redis_client):
    for junk in (
        {"x": "1"},
        {"told": "no json"},
        {"told": "[1]"},
        {"told": "{}"},
        {"told": b"\xff"},
        {"told": '[{"at":1}]'},
        {"lane": "l", "worker": "w", "told": "[[1,2]]"},
    ):
        redis_client.xadd(FEED, junk)
    put(redis_client, [row(1)])
    assert [one.id for one in recent(redis_client, 100)[0]] == ["1-0"]


def test_an_unreachable_server_is_reported(redis_client):
    with redis.Redis(port=1) as nobody, pytest.raises(redis.RedisError):
        next(follow(nobody, "0"))


def test_the_names_in_the_feed_are_those_of_a_receipt():
    assert {"id", "lane", "source", "key", "outcome", "url", "worker"} <= set(OutcomeRecord.__dataclass_fields__)
