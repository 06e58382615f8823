"""What a producer with nothing but XADD can do to its lane: the real attacks, and their repair."""

from __future__ import annotations

import time

import pytest
import redis

from worker.jobs import lane_repair
from worker.queue import keys
from worker.queue.lease_queue import LeaseQueue

LARGEST = "18446744073709551615-18446744073709551615"


@pytest.fixture
def queue(redis_client):
    found = LeaseQueue(redis_client, "documents")
    found.ensure()
    return found


def add(queue, *texts, id_="*"):
    return [queue.client.xadd("documents", {"raw": text}, id=id_).decode() for text in texts]


def fault(queue):
    return lane_repair.fault(queue.state(), lane_repair.server_ms(queue.client))


def process_all(queue):
    """Process the lane as workers do; returns the texts in the order of dispatch."""
    texts = []
    while ids := [id_ for id_, _ in queue.dispatch(limit=100, pending_cap=1000, max_bytes=1 << 20).entries]:
        claimed = queue.claim("w", ids, lease_seconds=25, max_bytes=1 << 20)
        texts += [entry.fields[b"raw"].decode() for entry in claimed]
        queue.settle((id_, "stored") for id_ in ids)
    return texts


def test_a_lane_in_order_needs_nothing(queue):
    add(queue, "a", "b")
    assert fault(queue) is None
    assert lane_repair.repair(queue) == lane_repair.Repair(0, 0)
    assert process_all(queue) == ["a", "b"]


@pytest.mark.parametrize("attack", [("MAXLEN", 0), ("MINID", LARGEST)])
def test_entries_that_a_producer_trims_are_counted_and_named(queue, attack):
    add(queue, "a", "b", "c")
    queue.dispatch(limit=2, pending_cap=100, max_bytes=1 << 20)
    queue.client.execute_command("XADD", "documents", *attack, "*", "raw", "")
    assert lane_repair.vanished(queue.state()) >= 3
    gone = lane_repair.vanished(queue.state())
    assert lane_repair.repair(queue) == lane_repair.Repair(0, gone)
    assert lane_repair.vanished(queue.state()) == 0
    assert queue.state().outcomes == {"vanished": gone}
    add(queue, "d")
    assert process_all(queue)[-1] == "d"
    assert lane_repair.vanished(queue.state()) == 0


def test_a_lane_without_ids_left_is_found_and_repaired_with_nothing_lost(queue):
    add(queue, "a", "b")
    queue.dispatch(limit=1, pending_cap=100, max_bytes=1 << 20)
    add(queue, "attack", id_=LARGEST)
    with pytest.raises(redis.ResponseError, match="exhausted"):
        add(queue, "c")
    assert fault(queue) == "blocked"
    assert lane_repair.repair(queue) == lane_repair.Repair(3, 0)
    assert fault(queue) is None
    add(queue, "c")
    assert process_all(queue) == ["a", "b", "attack", "c"]
    state = queue.state()
    assert (state.added, state.settled, state.backlog, state.pending) == (7, 7, 0, 0)


def test_a_lane_is_repaired_too_when_the_bad_entry_was_processed_long_ago(queue):
    add(queue, "attack", id_=LARGEST)
    assert process_all(queue) == ["attack"]
    assert lane_repair.repair(queue) == lane_repair.Repair(0, 0)
    add(queue, "c")
    assert process_all(queue) == ["c"]
    state = queue.state()
    assert (state.added, state.settled, state.backlog) == (2, 2, 0)


@pytest.mark.parametrize(("minutes", "found"), [(4, None), (6, "ahead"), (23 * 60, "ahead")])
def test_a_lane_is_ahead_when_an_id_is_five_minutes_ahead_of_the_server(queue, minutes, found):
    add(queue, "chosen", id_=f"{(int(time.time()) + minutes * 60) * 1000}-0")
    assert fault(queue) == found
    assert lane_repair.repair(queue).readded == (found == "ahead")
    assert fault(queue) is None


def test_honest_entries_behind_one_from_the_future_keep_their_order(queue):
    ahead = f"{(int(time.time()) + 10 * 86_400) * 1000}-5"
    add(queue, "future", id_=ahead)
    honest = add(queue, *(str(n) for n in range(20)))
    assert honest[0].startswith(ahead.split("-")[0]), "the server goes on from there"
    assert fault(queue) == "ahead"
    queue.dispatch(limit=3, pending_cap=100, max_bytes=1 << 20)
    before = [id_.decode() for id_, _ in queue.client.xrange(queue.lane)]
    assert lane_repair.repair(queue) == lane_repair.Repair(21, 0)
    assert fault(queue) is None
    now = [id_.decode() for id_, _ in queue.client.xrange(queue.lane)]
    originals = queue.client.hmget(keys.original_ids(queue.lane), now)
    assert [id_.decode() for id_ in originals] == before, "receipts go by the ids given"
    assert process_all(queue) == ["future", *(str(n) for n in range(20))]
    state = queue.state()
    assert (state.added, state.settled, state.backlog, state.pending) == (42, 42, 0, 0)


def test_entries_in_flight_during_a_repair_are_settled_once(queue):
    add(queue, "future", id_=f"{(int(time.time()) + 10 * 86_400) * 1000}-0")
    ((id_, _),) = queue.dispatch(limit=3, pending_cap=100, max_bytes=1 << 20).entries
    queue.claim("w", [id_], lease_seconds=25, max_bytes=1 << 20)
    lane_repair.repair(queue)
    assert queue.settle([(id_, "stored")]) == [], "its entry is another now"
    assert process_all(queue) == ["future"]
    state = queue.state()
    assert (state.added, state.settled, state.backlog) == (2, 2, 0)


def test_no_new_id_is_one_that_an_entry_had_before(queue):
    for _ in range(200):
        # In one millisecond: without the script, the entries and the repair are rarely that close.
        queue.client.eval(
            "redis.call('XADD', KEYS[1], '*', 'raw', 'a') redis.call('XADD', KEYS[1], '*', 'raw', 'b')", 1, queue.lane
        )
        before = [id_ for id_, _ in queue.client.xrange(queue.lane)]
        add(queue, "future", id_=f"{(int(time.time()) + 10 * 86_400) * 1000}-0")
        assert lane_repair.repair(queue).readded == 3
        now = [id_ for id_, _ in queue.client.xrange(queue.lane)]
        assert not set(before) & set(now)
        assert queue.client.hmget(keys.original_ids(queue.lane), now)[:2] == before
        process_all(queue)


def test_an_interrupted_repair_is_continued(queue):
    add(queue, "a", "b", "c", id_="*")
    queue.client.rename("documents", "copydesk:aside:documents")
    queue.ensure()
    add(queue, "d")
    assert lane_repair.repair(queue).readded == 3
    assert process_all(queue) == ["d", "a", "b", "c"]
    assert not queue.client.exists("copydesk:aside:documents")
