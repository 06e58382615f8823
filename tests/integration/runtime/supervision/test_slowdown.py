from __future__ import annotations

import pytest

from worker.queue.keys import SLOW_DOWN as KEY
from worker.queue.lease_queue import LeaseQueue
from worker.runtime.supervision.slowdown import SlowDown
from worker.settings import Settings


@pytest.fixture
def delays(redis_client):
    queues = [LeaseQueue(redis_client, name) for name in ("documents", "documents:bulk")]
    for queue in queues:
        queue.ensure()

    def figures(*, trouble: bool = False) -> list[float]:
        SlowDown(Settings(slow_down_backlog=10), redis_client).update(queues, trouble=trouble)
        return [float(v) for v in redis_client.mget([f"{KEY}:documents", f"{KEY}:documents:bulk", KEY])]

    return figures


def fill(client, lane, count):
    for _ in range(count):
        client.xadd(lane, {"raw": b"x"})


def test_a_lane_is_slowed_down_alone_and_the_common_key_has_the_longest_wait(redis_client, delays):
    assert delays() == [0, 0, 0]
    fill(redis_client, "documents:bulk", 25)
    assert delays() == [0, 3, 3]


def test_workers_share_the_last_requested_wait(redis_client, delays):
    fill(redis_client, "documents", 10)
    assert delays()[0] == 1
    redis_client.xtrim("documents", maxlen=6, approximate=False)
    assert delays()[0] == 1
    redis_client.xtrim("documents", maxlen=5, approximate=False)
    assert delays()[0] == 0


def test_an_entry_that_waits_too_long_counts_by_the_servers_clock(redis_client, delays):
    redis_client.xadd("documents", {"raw": b"x"}, id="1000-0")
    assert delays()[0] == 30


def test_an_unreachable_store_slows_all_lanes_down(redis_client, delays):
    assert delays(trouble=True) == [5, 5, 5]
    assert delays() == [5, 5, 5], "another worker hears of it"
    assert 0 < redis_client.pttl("copydesk:store-trouble") <= 5000


def test_the_waits_expire_within_seconds(redis_client, delays):
    delays()
    assert all(0 < redis_client.pttl(key) <= 8000 for key in (KEY, f"{KEY}:documents"))


def test_trouble_that_another_program_set_without_an_expiry_ends_too(redis_client, delays):
    redis_client.set("copydesk:store-trouble", "x")
    assert delays() == [5, 5, 5]
    assert 0 < redis_client.pttl("copydesk:store-trouble") <= 5000
