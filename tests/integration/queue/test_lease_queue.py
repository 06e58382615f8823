"""The lease queue against a real server: every transition of an entry, and the sum of counters that always holds."""

import hashlib
import time

import pytest
import redis

from worker.producer.client import Submission, submit_entry, submit_many
from worker.queries.pending import pending
from worker.queue.crashes import CrashLog, CrashReport
from worker.queue.lease_queue import LeaseQueue, id_key
from worker.runtime.supervision.lost_process import record_loss
from worker.settings import Settings

LEASE = 60.0
"""Seconds. No test waits for it: `expire_leases` lets it pass at once."""
MUCH = 1 << 20


@pytest.fixture
def queue(redis_client):
    queue = LeaseQueue(redis_client, "documents")
    queue.ensure()
    return queue


def push(queue, count, size=10):
    return [id_ for _, id_ in submit_many(queue.client, queue.lane, [Submission(b"x" * size) for _ in range(count)])]


def dispatch(queue, limit=100, cap=1000, max_bytes=MUCH):
    return [id_ for id_, _ in queue.dispatch(limit=limit, pending_cap=cap, max_bytes=max_bytes).entries]


def claim(queue, worker, ids, max_bytes=MUCH, lease=60.0):
    return queue.claim(worker, ids, lease_seconds=lease, max_bytes=max_bytes)


def expire_leases(queue):
    """Let all pending entries look as if a lease had passed since their last delivery."""
    for entry in queue.client.xpending_range(queue.lane, "copydesk", "-", "+", 100):
        queue.client.xclaim(queue.lane, "copydesk", entry["consumer"], 0, [entry["message_id"]], justid=True,
                            idle=int(LEASE * 1500))  # fmt: skip


def sum_holds(queue):
    state = queue.state()
    return state.added == state.settled + state.backlog


def test_ensure_may_be_called_again_and_finds_what_was_pushed_before(redis_client):
    early = submit_entry(redis_client, "documents", b"early")
    queue = LeaseQueue(redis_client, "documents")
    queue.ensure()
    queue.ensure()
    assert dispatch(queue) == [early]


def test_an_entry_is_dispatched_claimed_and_settled(queue):
    ids = push(queue, 3)
    assert dispatch(queue) == ids
    claimed = claim(queue, "w", ids)
    assert [entry.id for entry in claimed] == ids
    assert [(entry.attempts, entry.truncated, entry.fields) for entry in claimed] == [
        (0, False, {b"raw": b"x" * 10})
    ] * 3
    queue.end_attempt("w", ids)
    assert queue.settle([(ids[0], "stored"), (ids[1], "stored"), (ids[2], "rejected")]) == ids[:3]
    state = queue.state()
    assert (state.added, state.backlog, state.pending) == (3, 0, 0)
    assert state.outcomes == {"stored": 2, "rejected": 1}


def test_the_sum_holds_at_every_step(queue):
    ids = push(queue, 5)
    assert sum_holds(queue)
    dispatch(queue, limit=3)
    assert sum_holds(queue)
    claim(queue, "w", ids[:3])
    queue.settle([(ids[0], "stored")])
    assert sum_holds(queue)
    assert queue.state().backlog == 4


def test_settling_again_counts_nothing(queue):
    ids = push(queue, 1)
    dispatch(queue)
    claim(queue, "w", ids)
    assert queue.settle([(ids[0], "stored")]) == [ids[0]]
    assert queue.settle([(ids[0], "unchanged")]) == []
    assert queue.state().outcomes == {"stored": 1}
    assert queue.settle([]) == []


def test_dispatch_is_bounded_in_number_bytes_and_pending(queue):
    ids = push(queue, 60)
    assert dispatch(queue, limit=10) == ids[:10]
    assert dispatch(queue, limit=100, cap=25) == ids[10:25]
    assert dispatch(queue, limit=100, cap=25) == []
    reply = queue.dispatch(limit=100, pending_cap=1000, max_bytes=1)
    assert len(reply.entries) <= 25, "a step at a time, so that giants do not pile up"
    assert reply.backlog == 60
    assert reply.pending == 25


def test_a_dispatched_entry_has_its_size_and_not_its_payload(queue):
    submit_entry(queue.client, queue.lane, b"x" * 1000, source="s")
    ((_, size),) = queue.dispatch(limit=1, pending_cap=10, max_bytes=MUCH).entries
    assert size == 1000 + len(b"raw") + len(b"source") + len(b"s") + 4 * 16


def test_an_entry_of_a_living_worker_is_not_reaped(queue):
    ids = push(queue, 1)
    dispatch(queue)
    assert claim(queue, "one", ids)
    assert claim(queue, "two", ids) == []


def test_a_doubled_claim_check_counts_each_claim(queue):
    """A second claim by the same worker, whose claim check was doubled, counts an attempt, unless the attempt was ended
    before.
    """
    ids = push(queue, 1)
    dispatch(queue)
    assert claim(queue, "w", ids)[0].attempts == 0
    queue.end_attempt("w", ids)
    assert claim(queue, "w", ids)[0].attempts == 0


def test_a_crash_counts_an_attempt_only_before_the_store_is_used(queue):
    crashing, other = push(queue, 2)
    dispatch(queue)
    claim(queue, "w", [crashing, other])
    queue.end_attempt("w", [other])
    expire_leases(queue)
    assert dict(queue.reap(lease_seconds=LEASE)) == {crashing: 1, other: 0}


def test_reaping_counts_nothing_by_itself_and_renews_the_lease(queue):
    ids = push(queue, 1)
    dispatch(queue)
    for _ in range(3):
        expire_leases(queue)
        assert queue.reap(lease_seconds=LEASE) == [(ids[0], 0)]
        assert queue.reap(lease_seconds=LEASE) == []
    assert claim(queue, "w", ids)[0].attempts == 0


def test_attempts_add_up_over_crashes(queue):
    ids = push(queue, 1)
    dispatch(queue)
    for death in range(3):
        assert claim(queue, f"w{death}", ids)[0].attempts == death
        expire_leases(queue)
        assert queue.reap(lease_seconds=LEASE) == [(ids[0], death + 1)]


@pytest.mark.parametrize(("taken_up", "waiting", "handed_out"), [(True, 2, 2), (False, 2, 0), (False, 5, 5)])
def test_only_full_batches_are_added_while_others_wait(queue, taken_up, waiting, handed_out):
    ids = push(queue, 3)
    dispatch(queue)
    claim(queue, "w", ids if taken_up else ids[:2])
    push(queue, waiting)
    found = queue.dispatch(limit=5, pending_cap=100, max_bytes=MUCH, wait_for="full")
    assert (len(found.entries), found.backlog, found.pending) == (handed_out, 3 + waiting, 3)


@pytest.mark.parametrize(
    ("wait_for", "pending", "waiting", "handed_out"),
    [("half", 7, 20, 0), ("half", 5, 20, 5), ("half", 7, 2, 2), ("half", 0, 20, 10), ("", 7, 20, 3)],
)
def test_less_than_half_a_batch_waits_for_capacity(queue, wait_for, pending, waiting, handed_out):
    push(queue, pending)
    dispatch(queue)
    push(queue, waiting)
    found = queue.dispatch(limit=10, pending_cap=10, max_bytes=MUCH, wait_for=wait_for)
    assert len(found.entries) == handed_out


def test_deleted_entries_block_nothing(queue):
    for id_ in push(queue, 5):
        dispatch(queue)
        queue.client.xdel(queue.lane, id_)
    push(queue, 2)
    assert len(queue.dispatch(limit=10, pending_cap=10, max_bytes=MUCH, wait_for="half").entries) == 2


def test_released_entries_come_back_after_the_delay_without_an_attempt(queue):
    ids = push(queue, 2)
    dispatch(queue)
    claim(queue, "w", ids)
    queue.release("w", ids, lease_seconds=LEASE, delay_seconds=LEASE / 2)
    assert queue.reap(lease_seconds=LEASE) == []
    assert queue.reap(lease_seconds=LEASE / 2) == [(ids[0], 0), (ids[1], 0)], "half of the lease is left"
    assert [entry.attempts for entry in claim(queue, "other", ids)] == [0, 0]


def test_released_entries_are_distinguished_from_abandoned_ones(queue):
    ids = push(queue, 4)
    dispatch(queue)
    claim(queue, "w", ids[:2])
    claim(queue, "dead", ids[2:], lease=0)
    queue.release("w", ids[:2], lease_seconds=1.0, whole=True)
    queue.release("dead", ids[2:], lease_seconds=1.0)
    assert queue.reap(lease_seconds=1.0, whole=True) == [(ids[0], 0), (ids[1], 0)]
    assert queue.reap(lease_seconds=1.0) == [(ids[2], 0), (ids[3], 0)]


def test_a_consumer_that_lost_the_lease_cannot_keep_or_release_the_entry(queue):
    ids = push(queue, 1)
    dispatch(queue)
    claim(queue, "slow", ids)
    expire_leases(queue)
    queue.reap(lease_seconds=LEASE)
    claim(queue, "quick", ids)
    queue.release("slow", ids, lease_seconds=60)
    queue.end_attempt("slow", ids)
    owner = queue.client.xpending_range(queue.lane, "copydesk", "-", "+", 1)[0]["consumer"]
    assert owner == b"quick"


def test_an_entry_deleted_while_pending_is_forgotten(queue):
    ids = push(queue, 2)
    dispatch(queue)
    queue.client.xdel(queue.lane, *ids)
    assert claim(queue, "w", ids[:1]) == []
    expire_leases(queue)
    assert queue.reap(lease_seconds=LEASE) == []
    assert queue.state().pending == 0


def test_a_settled_entry_is_not_claimed_again(queue):
    ids = push(queue, 1)
    dispatch(queue)
    claim(queue, "w", ids)
    queue.settle([(ids[0], "stored")])
    assert claim(queue, "w", ids) == []
    assert claim(queue, "w", ["1-1"]) == []


def test_an_oversized_entry_has_its_prefix_and_the_digest_of_the_whole(queue):
    raw = b"0123456789" * 20_000
    id_ = submit_entry(queue.client, queue.lane, raw, key="k")
    dispatch(queue)
    (entry,) = claim(queue, "w", [id_], max_bytes=100_000)
    assert entry.truncated
    assert entry.size > len(raw)
    assert entry.fields == {b"raw": raw[:65536], b"key": b"k"}
    assert (entry.raw_size, entry.sha256) == (len(raw), hashlib.sha256(raw).digest())


def test_the_last_id_counts_even_where_its_entry_is_gone(queue):
    (id_,) = push(queue, 1)
    queue.client.xdel(queue.lane, id_)
    assert not queue.advance(id_)
    assert [group["name"] for group in queue.client.xinfo_groups(queue.lane)] == [b"copydesk"]


def test_advancing_makes_the_next_id_larger(queue):
    far = f"{int(time.time() * 1000) + 60_000}-5"
    assert queue.advance(far)
    assert not queue.advance(far)
    assert id_key(submit_entry(queue.client, queue.lane, b"x")) > id_key(far)


def test_a_lane_is_not_advanced_to_an_id_that_is_ahead_of_time(queue):
    far = "99999999999999-5"
    assert not queue.advance(far)
    assert id_key(submit_entry(queue.client, queue.lane, b"x")) < id_key(far)


def test_idle_consumers_of_dead_processes_are_deleted_those_with_entries_are_not(queue):
    ids = push(queue, 2)
    dispatch(queue)
    claim(queue, "holds", ids[:1])
    claim(queue, "done", ids[1:])
    queue.settle([(ids[1], "stored")])
    time.sleep(0.05)
    assert queue.forget_idle_workers(idle_seconds=0) >= 1
    names = {consumer["name"] for consumer in queue.client.xinfo_consumers(queue.lane, "copydesk")}
    assert b"holds" in names
    assert b"done" not in names


def test_accepted_entries_survive_a_kill_of_the_server(valkey):
    with valkey.client() as client:
        client.flushall()
        queue = LeaseQueue(client, "documents")
        queue.ensure()
        ids = push(queue, 10)
        dispatch(queue, limit=4)
        claim(queue, "w", ids[:4])
        queue.settle([(id_, "stored") for id_ in ids[:2]])
        time.sleep(1.2)  # appendfsync everysec: the wait for the sync
        valkey.kill()
        valkey.start()
        state = queue.state()
        assert (state.added, state.backlog, state.pending) == (10, 8, 2)
        assert state.outcomes == {"stored": 2}
        assert dispatch(queue) == ids[4:]


def test_a_lane_that_is_not_a_stream_is_reported(redis_client):
    redis_client.set("documents", "text")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        LeaseQueue(redis_client, "documents").ensure()


def test_a_clock_that_goes_back_renews_the_leases(queue, redis_client):
    (id_,) = push(queue, 1)
    dispatch(queue)
    claim(queue, "dead", [id_])
    assert queue.renew_leases_after_clock_step() == 0
    expire_leases(queue)
    # Simulates deliveries an hour in the future; Redis allows nobody to set a delivery time in the future.
    redis_client.set(f"copydesk:clock:{queue.lane}", int((time.time() + 3600) * 1000))
    assert queue.renew_leases_after_clock_step() == 1
    assert queue.renew_leases_after_clock_step() == 0
    assert queue.reap(lease_seconds=LEASE) == []
    expire_leases(queue)
    assert queue.reap(lease_seconds=LEASE) == [(id_, 1)]


def test_a_clock_that_goes_back_renews_the_leases_of_all_entries(queue, redis_client):
    count = 2_500
    deliver(queue, "dead", count, seconds_ago=3600)
    redis_client.set(f"copydesk:clock:{queue.lane}", int((time.time() + 3600) * 1000))
    assert queue.renew_leases_after_clock_step() == count
    assert queue.reap(lease_seconds=LEASE * 100) == []


def test_a_crash_is_recorded_with_all_entries_of_the_process_and_frees_them(queue):
    deliver(queue, "dead", 2_500, deliveries=2)
    lost = record_loss(queue, CrashReport.now("dead", "signal 9"), Settings(lease_seconds=60))
    assert (len(lost.ids), lost.stage) == (2_500, "read")
    assert len(CrashLog(queue).of(lost.ids)) == 2_500
    assert len(queue.reap(lease_seconds=60, limit=10_000)) == 2_500


def deliver(queue, consumer, count, *, seconds_ago=0, deliveries=1):
    """Add `count` entries and make them pending for `consumer`, in one round trip."""
    queue.client.eval(
        "for n = 1, ARGV[1] do redis.call('XADD', KEYS[1], n .. '-0', 'raw', 'x') end "
        "redis.call('XREADGROUP', 'GROUP', 'copydesk', ARGV[2], 'COUNT', ARGV[1], 'STREAMS', KEYS[1], '>') "
        "for n = 1, ARGV[1] do redis.call('XCLAIM', KEYS[1], 'copydesk', ARGV[2], 0, n .. '-0', "
        "'IDLE', ARGV[3], 'RETRYCOUNT', ARGV[4], 'JUSTID') end",
        1, queue.lane, count, consumer, seconds_ago * 1000, deliveries,
    )  # fmt: skip


def test_a_claim_that_is_repeated_because_its_reply_was_lost_counts_once(queue):
    ids = push(queue, 1)
    dispatch(queue)
    assert [claim(queue, "w", ids)[0].attempts for _ in range(5)] == [0] * 5
    expire_leases(queue)
    assert queue.reap(lease_seconds=LEASE) == [(ids[0], 1)]
    assert [claim(queue, "w", ids)[0].attempts for _ in range(2)] == [1, 1]


def test_scattered_ids_are_claimed_and_kept(queue):
    ids = push(queue, 7)
    dispatch(queue)
    claim(queue, "another", ids[1:4])
    scattered = [ids[6], ids[0], ids[5], ids[2]]
    assert [entry.id for entry in claim(queue, "w", scattered)] == [ids[6], ids[0], ids[5]]
    queue.release("w", scattered, lease_seconds=0)
    assert sorted(entry.id for entry in claim(queue, "third", ids)) == [ids[0], ids[4], ids[5], ids[6]]
    assert claim(queue, "third", []) == []


def test_each_entry_keeps_its_own_number_of_attempts(queue):
    ids = push(queue, 3)
    dispatch(queue)
    claim(queue, "dead", ids[1:])
    expire_leases(queue)
    queue.reap(lease_seconds=LEASE)
    held = {entry.id: entry.attempts for entry in claim(queue, "w", ids)}
    assert list(held.values()) == [0, 1, 1]
    queue.end_attempt("w", held)
    queue.begin_attempt("w", held)
    queue.release("w", held, lease_seconds=LEASE)
    assert dict(queue.reap(lease_seconds=LEASE)) == held


def test_an_ended_attempt_is_counted_again_when_it_begins(queue):
    ids = push(queue, 1)
    dispatch(queue)
    claim(queue, "w", ids)
    queue.end_attempt("w", ids)
    queue.begin_attempt("w", ids)
    queue.begin_attempt("another", ids)
    expire_leases(queue)
    assert queue.reap(lease_seconds=LEASE) == [(ids[0], 1)]


@pytest.mark.parametrize("times", [1, 3])
def test_a_repeated_command_neither_adds_nor_forgets_an_attempt(queue, times):
    (id_,) = push(queue, 1)
    dispatch(queue)
    claim(queue, "dead", [id_])
    expire_leases(queue)
    assert queue.reap(lease_seconds=LEASE) == [(id_, 1)]
    (entry,) = claim(queue, "w", [id_])
    held = {entry.id: entry.attempts}
    for _ in range(times):
        queue.end_attempt("w", held)
    for _ in range(times):
        queue.begin_attempt("w", held)
    for _ in range(times):
        queue.release("w", held, lease_seconds=LEASE)
    assert queue.reap(lease_seconds=LEASE) == [(id_, 1)]


def test_what_comes_back_on_a_paused_lane_waits_until_the_lane_is_served_again(queue):
    stored, read, sent = ids = push(queue, 3)
    assert dispatch(queue) == ids
    claim(queue, "host:1", [stored, read])
    queue.end_attempt("host:1", [stored])
    assert queue.reap(lease_seconds=0, paused=True) == [(stored, 0), (read, 1), (sent, 0)]
    counts, state = queue.counts(), queue.state()
    assert (counts.backlog, counts.pending, counts.waiting, counts.oldest_id) == (3, 0, 3, stored)
    assert (state.pending, state.oldest_id, state.paused, sum_holds(queue)) == (0, stored, {}, True)
    assert queue.reap(lease_seconds=0, paused=True) == queue.reap(lease_seconds=0) == []
    assert claim(queue, "host:2", ids) == [], "a claim check that is still in Celery's queue"
    assert [*CrashLog(queue).of(ids)] == [read], "only this one was being read"
    assert [entry["state"] for entry in pending(queue.client, [queue.lane], stored)] == ["waiting"]
    later = push(queue, 1)
    assert dispatch(queue) == [stored, sent, *later]
    assert queue.reap(lease_seconds=60, whole=True) == [(read, 1)], "the reaper sends it alone"
    assert queue.counts().pending == 4


def test_an_entry_that_is_given_back_gets_no_crash_report(queue):
    ids = push(queue, 1)
    dispatch(queue)
    claim(queue, "host:1", ids)
    record_loss(queue, CrashReport.now("host:1", "signal 11"), Settings(lease_seconds=60))
    queue.reap(lease_seconds=60)
    [again] = claim(queue, "host:2", ids)
    queue.release("host:2", {again.id: again.attempts}, lease_seconds=60, whole=True)
    assert queue.reap(lease_seconds=60, whole=True) == [(ids[0], 1)]
    [reports] = CrashLog(queue).of(ids).values()
    assert [report.where for report in reports] == ["host:1"]
