"""What follows when a pool process is lost while it stores a batch: the batch is divided, and only the faulty entry is rejected."""

from __future__ import annotations

import pytest

from worker.queue import keys
from worker.queue.crashes import CrashLog, CrashReport
from worker.queue.lease_queue import LeaseQueue
from worker.queue.store_timeouts import StoreTimeouts
from worker.runtime.supervision.lost_process import record_loss
from worker.settings import Settings

CRASH = CrashReport.now("host:1", "signal 11 (SIGSEGV)")
CONFIG = Settings(batch_documents=30)  # so a small batch has three
MUCH = 1 << 20


@pytest.fixture
def queue(redis_client):
    """A lane of its own."""
    queue = LeaseQueue(redis_client, "documents")
    queue.ensure()
    return queue


def add(queue, count):
    ids = [queue.client.xadd(queue.lane, {"raw": "x"}).decode() for _ in range(count)]
    queue.dispatch(limit=100, pending_cap=100, max_bytes=MUCH)
    return ids


def hold(queue, ids, *, storing=True):
    """Claim entries for the process that will be lost; return the attempts at each until now."""
    attempts = {one.id: one.attempts for one in queue.claim("host:1", ids, lease_seconds=60, max_bytes=MUCH)}
    if storing:
        queue.end_attempt("host:1", attempts)
    return attempts


def lose(queue, ids, *, storing=True):
    """Lose the process that holds `ids`, and let the reaper take them; return (id, attempts) of each."""
    hold(queue, ids, storing=storing)
    record_loss(queue, CRASH, CONFIG)
    return queue.reap(lease_seconds=CONFIG.lease_seconds)


def settle_another(queue):
    ids = add(queue, 1)
    hold(queue, ids)
    queue.settle([(ids[0], "stored")])


def test_a_large_batch_is_sent_again_in_small_ones_and_a_small_one_in_single_entries(queue):
    ids = add(queue, 4)
    assert lose(queue, ids) == [(id_, 0) for id_ in ids]
    assert StoreTimeouts(queue).recorded(ids) == set()
    assert lose(queue, ids[:3]) == [(id_, 0) for id_ in ids[:3]]
    assert StoreTimeouts(queue).recorded(ids) == {*ids[:3]}
    assert CrashLog(queue).of(ids) == {}, "no document is the cause yet"


def test_a_lone_entry_counts_if_others_are_stored_since_the_first_failure(queue):
    one, other = add(queue, 2)
    lose(queue, [one, other])
    assert lose(queue, [one]) == [(one, 0)], "the store may be the cause"
    settle_another(queue)
    for attempts in (1, 2, 3):
        assert lose(queue, [one]) == [(one, attempts)], "others need not be stored between each"
    [reports] = CrashLog(queue).of([one]).values()
    assert [report.how for report in reports] == ["signal 11 (SIGSEGV) while storing"] * 3
    assert lose(queue, [other]) == [(other, 1)]


def test_while_nothing_is_stored_a_lone_entry_counts_once_at_most(queue):
    (id_,) = add(queue, 1)
    assert [lose(queue, [id_]) for _ in range(4)] == [[(id_, 1)]] * 4


def test_crashes_of_both_stages_add_up(queue):
    (id_,) = add(queue, 1)
    assert lose(queue, [id_], storing=False) == [(id_, 1)]
    assert lose(queue, [id_]) == [(id_, 2)]
    assert lose(queue, [id_]) == [(id_, 2)], "nothing is stored since"
    assert lose(queue, [id_], storing=False) == [(id_, 3)]
    [reports] = CrashLog(queue).of([id_]).values()
    assert [report.how.endswith("while storing") for report in reports] == [False, True, False]


def test_entries_of_both_stages_keep_what_the_log_says_of_them(queue):
    ids = add(queue, 2)
    hold(queue, ids, storing=False)
    lost = record_loss(queue, CRASH, CONFIG)
    assert (lost.ids, lost.stage, lost.next) == (ids, "read", "its documents are retried, each alone")
    queue.reap(lease_seconds=60)
    hold(queue, ids)
    assert record_loss(queue, CRASH, CONFIG).stage == "store"
    assert record_loss(queue, CRASH, CONFIG).next == "it held no document"


@pytest.mark.parametrize("attempts", [0, 1])
def test_a_worker_that_ends_as_a_whole_counts_nothing_for_what_it_was_storing(queue, attempts):
    """Nobody records the loss of its processes: their leases expire."""
    (id_,) = add(queue, 1)
    for _ in range(attempts):
        lose(queue, [id_], storing=False)
    for _ in range(3):
        assert hold(queue, [id_]) == {id_: attempts}
        assert queue.reap(lease_seconds=0) == [(id_, attempts)]
    assert len(CrashLog(queue).of([id_]).get(id_, [])) == attempts
    assert not queue.client.exists(keys.store_timeouts(queue.lane))
