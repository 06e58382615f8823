"""A paused source of a lane: its entries keep their ids and their place, all others are served, and no step loses one."""

from __future__ import annotations

import time

import pytest

from schemas.envelope import is_source
from worker.jobs.lane_repair import repair
from worker.queue.crashes import CrashReport
from worker.queue.lease_queue import LeaseQueue, id_key
from worker.queue.pauses.lane_pauses import Pause
from worker.queue.pauses.source_pauses import pause_source, paused_sources, resume_source, resumed_sources
from worker.runtime.supervision.lost_process import record_loss
from worker.settings import Settings

MUCH = 1 << 20
WHY = Pause("test", 0, "nonsense")


@pytest.fixture
def queue(redis_client):
    queue = LeaseQueue(redis_client, "documents")
    queue.ensure()
    return queue


def add(queue, source, count=1, raw=b"x"):
    with queue.client.pipeline(transaction=False) as pipe:
        for _ in range(count):
            pipe.xadd(queue.lane, {"raw": raw, **({"source": source} if source is not None else {})})
        return [id_.decode() for id_ in pipe.execute()]


def dispatch(queue, limit=100, cap=1000, max_bytes=MUCH, wait_for=""):
    found = queue.dispatch(limit=limit, pending_cap=cap, max_bytes=max_bytes, wait_for=wait_for)
    return [id_ for id_, _ in found.entries]


def dispatch_all(queue, limit=100, cap=100_000):
    ids = []
    while found := dispatch(queue, limit, cap):
        ids += found
    return ids


def claim(queue, ids, worker="host:1", lease=60.0, max_bytes=MUCH):
    return [one.id for one in queue.claim(worker, ids, lease_seconds=lease, max_bytes=max_bytes)]


def sum_holds(queue):
    state = queue.state()
    return state.added == state.settled + state.backlog


def test_a_paused_source_waits_with_its_ids_and_the_others_are_served(queue):
    pause_source(queue.client, "documents", "mad", WHY)
    mad, good = add(queue, "mad", 3), add(queue, "good", 2)
    later = add(queue, "mad", 2)
    assert dispatch_all(queue) == good
    counts = queue.counts()
    assert (counts.backlog, counts.pending, counts.waiting, counts.paused) == (7, 2, 2, {"mad": 5})
    assert queue.settle((id_, "stored") for id_ in claim(queue, good)) == good
    assert sum_holds(queue)
    assert resume_source(queue.client, "documents", "mad")
    assert dispatch_all(queue) == mad + later
    assert claim(queue, mad + later) == mad + later
    assert queue.state().paused == {}


def test_a_pause_is_about_one_lane_and_one_name(redis_client, queue):
    other = LeaseQueue(redis_client, "other")
    other.ensure()
    pause_source(redis_client, "documents", "mad", WHY)
    served = add(other, "mad")
    assert dispatch_all(other) == served
    similar = [add(queue, name)[0] for name in ("mad ", "Mad", "madder", "ma", None, "")]
    add(queue, "mad")
    assert dispatch_all(queue) == similar


def test_documents_without_a_source_are_paused_by_the_name_of_their_lane(queue):
    pause_source(queue.client, "documents", "documents", WHY)
    add(queue, None)
    add(queue, "")
    add(queue, "documents")
    named = add(queue, "good")
    assert dispatch_all(queue) == named
    assert queue.counts().paused == {"documents": 3}


def test_of_several_source_fields_the_last_one_counts(queue):
    pause_source(queue.client, "documents", "mad", WHY)
    queue.client.execute_command("XADD", "documents", "*", "source", "good", "raw", "x", "source", "mad")
    served = queue.client.execute_command("XADD", "documents", "*", "source", "mad", "raw", "x", "source", "good")
    assert dispatch_all(queue) == [served.decode()]


def test_what_was_dispatched_before_the_pause_waits_too(queue):
    mad, good = add(queue, "mad", 2), add(queue, "good", 2)
    ids = dispatch_all(queue)
    pause_source(queue.client, "documents", "mad", WHY)
    assert claim(queue, ids) == good
    assert claim(queue, ids, worker="host:2") == [], "a doubled claim check takes none of them"
    assert queue.counts().paused == {"mad": 2}
    resume_source(queue.client, "documents", "mad")
    assert claim(queue, ids, worker="host:2") == [], "nor does it after the source is resumed: it is dispatched again"
    assert dispatch_all(queue) == mad
    (first, _) = queue.claim("host:2", mad, lease_seconds=60, max_bytes=MUCH)
    assert first.attempts == 0


def test_the_reaper_leaves_them_and_takes_all_others_behind_them(queue):
    pause_source(queue.client, "documents", "mad", WHY)
    add(queue, "mad", 50)
    good = add(queue, "good", 3)
    dispatch_all(queue)
    claim(queue, good[:1], lease=0.1)
    time.sleep(0.15)
    assert {id_ for id_, _ in queue.reap(lease_seconds=0.1, limit=10)} == set(good)
    assert queue.counts().paused == {"mad": 50}
    assert sum_holds(queue)


def test_an_entry_that_was_being_read_during_a_crash_is_still_sent_alone_after_its_pause(queue):
    (id_,) = add(queue, "mad")
    dispatch(queue)
    claim(queue, [id_])
    record_loss(queue, CrashReport.now("host:1", "signal 9"), Settings(lease_seconds=60))
    pause_source(queue.client, "documents", "mad", WHY)
    assert claim(queue, [id_], worker="host:2") == []
    resume_source(queue.client, "documents", "mad")
    assert dispatch(queue) == []
    assert queue.reap(lease_seconds=60, limit=10, whole=True) == [(id_, 1)]
    (entry,) = queue.claim("host:2", [id_], lease_seconds=60, max_bytes=MUCH)
    assert entry.attempts == 1


def test_a_resumed_source_and_the_others_share_each_batch(queue):
    pause_source(queue.client, "documents", "mad", WHY)
    mad = add(queue, "mad", 100)
    dispatch_all(queue)
    resume_source(queue.client, "documents", "mad")
    good = add(queue, "good", 100)
    batch = dispatch(queue, limit=20)
    assert sorted(batch, key=id_key) == mad[:10] + good[:10]
    assert sorted(dispatch_all(queue, limit=20), key=id_key) == mad[10:] + good[10:]


def test_the_pending_cap_holds_for_a_resumed_source_and_does_not_count_a_paused_one(queue):
    pause_source(queue.client, "documents", "mad", WHY)
    mad = add(queue, "mad", 100)
    good = add(queue, "good", 30)
    assert dispatch(queue, cap=20) == good[:20]
    assert dispatch(queue, cap=20) == []
    queue.settle((id_, "stored") for id_ in claim(queue, good[:20]))
    resume_source(queue.client, "documents", "mad")
    assert sorted(dispatch(queue, cap=20), key=id_key) == mad[:10] + good[20:]
    assert dispatch(queue, cap=20) == []
    assert queue.counts().pending == 20


def test_waiting_for_a_full_batch_does_not_count_a_paused_source(queue):
    pause_source(queue.client, "documents", "mad", WHY)
    add(queue, "mad", 100)
    assert dispatch(queue) == []
    first, second = add(queue, "good", 2)
    assert dispatch(queue, limit=1) == [first]
    assert dispatch(queue, limit=50, wait_for="full") == [], "an earlier one still waits, and one is no full batch"
    queue.settle((id_, "stored") for id_ in claim(queue, [first]))
    assert dispatch(queue, limit=50, wait_for="full") == [second]


def test_the_oldest_entry_is_one_that_is_served(queue):
    pause_source(queue.client, "documents", "mad", WHY)
    mad = add(queue, "mad", 3)
    assert dispatch(queue) == []
    assert queue.counts().oldest_id is None
    assert queue.state().oldest_id is None
    unread, _ = add(queue, "good", 2)
    assert (queue.counts().oldest_id, queue.state().oldest_id) == (unread, unread)
    dispatch(queue)
    assert (queue.counts().oldest_id, queue.state().oldest_id) == (unread, unread)
    resume_source(queue.client, "documents", "mad")
    assert (queue.counts().oldest_id, queue.state().oldest_id) == (mad[0], mad[0])


def test_a_step_back_of_the_clock_gives_paused_entries_no_lease(queue):
    pause_source(queue.client, "documents", "mad", WHY)
    add(queue, "mad", 2)
    good = add(queue, "good")
    dispatch_all(queue)
    queue.client.set("copydesk:clock:documents", int(time.time() * 1000) + 60_000)
    assert queue.renew_leases_after_clock_step() == 1
    assert claim(queue, good) == good
    assert queue.counts().paused == {"mad": 2}


def test_an_oversized_entry_waits_with_its_source(queue):
    pause_source(queue.client, "documents", "mad", WHY)
    (large,) = add(queue, "mad", raw=b"x" * 5000)
    good = add(queue, "good")
    assert dispatch(queue, max_bytes=2000) == []
    assert dispatch(queue, max_bytes=2000) == good
    resume_source(queue.client, "documents", "mad")
    assert dispatch(queue, max_bytes=2000) == [large]
    (entry,) = queue.claim("host:1", [large], lease_seconds=60, max_bytes=1000)
    assert (entry.truncated, entry.raw_size) == (True, 5000)


def test_trimmed_entries_of_a_paused_source_do_not_block_its_return(queue):
    pause_source(queue.client, "documents", "mad", WHY)
    add(queue, "mad", 1200)
    while queue.counts().waiting:
        dispatch(queue)
    queue.client.xtrim("documents", maxlen=1, approximate=False)
    good = add(queue, "good")
    assert dispatch(queue) == good
    resume_source(queue.client, "documents", "mad")
    rest = [id_ for _ in range(4) for id_ in dispatch(queue)]
    assert len(rest) == 1
    assert queue.counts().pending == 2


def server_seconds(queue):
    """Return the CPU time that the server has used for commands, also on a busy machine."""
    cpu = queue.client.info("cpu")
    return cpu["used_cpu_user_main_thread"] + cpu["used_cpu_sys_main_thread"]


def test_a_hundred_thousand_entries_of_a_paused_source_delay_no_step(queue):
    """Each call may take what a call with an empty lane takes, times a small factor; the server is blocked meanwhile."""
    pause_source(queue.client, "documents", "mad", WHY)
    for _ in range(20):
        add(queue, "mad", 5000)
    good = add(queue, "good", 5)
    longest, served = 0.0, []
    while queue.counts().waiting > len(served):
        began = server_seconds(queue)
        served += dispatch(queue)
        longest = max(longest, server_seconds(queue) - began)
    assert served == good
    assert longest < 0.2
    began = server_seconds(queue)
    for _ in range(20):
        dispatch(queue)
        queue.reap(lease_seconds=60, limit=800)
        queue.counts()
    assert (server_seconds(queue) - began) / 60 < 0.01
    assert claim(queue, good) == good
    resume_source(queue.client, "documents", "mad")
    began = server_seconds(queue)
    assert len(dispatch(queue, limit=200)) == 200
    assert server_seconds(queue) - began < 0.2
    assert queue.counts().backlog == 100_005
    assert sum_holds(queue)


def test_a_pause_is_kept_once_and_its_end_is_known(queue):
    client = queue.client
    assert pause_source(client, "documents", "mad", WHY)
    assert not pause_source(client, "documents", "mad", Pause("else", 1, "again"))
    assert paused_sources(client, "documents") == {"mad": WHY}
    assert paused_sources(client, "other") == {}
    assert resume_source(client, "documents", "mad")
    assert not resume_source(client, "documents", "mad")
    assert abs(resumed_sources(client, "documents")["mad"] - client.time()[0]) <= 1
    assert client.ttl("copydesk:sources:resumed:documents") > 3600


@pytest.mark.parametrize(("name", "is_one"), [("mad", True), ("Zürich ✓", True), ("x" * 200, True),
                                              ("", False), ("x" * 201, False), ("a\nb", False), ("a\x85", False)])  # fmt: skip
def test_only_a_name_that_a_document_can_have_is_a_source(name, is_one):
    assert is_source(name) is is_one


def test_a_repair_of_the_lane_keeps_them_paused(queue):
    pause_source(queue.client, "documents", "mad", WHY)
    add(queue, "mad", 3)
    dispatch(queue)
    queue.client.execute_command("XADD", "documents", "9999999999999-1", "raw", "x", "source", "good")
    assert repair(queue).readded == 4
    assert len(dispatch_all(queue)) == 1
    assert queue.counts().paused == {"mad": 3}
    resume_source(queue.client, "documents", "mad")
    assert len(dispatch_all(queue)) == 3
    state = queue.state()
    assert state.added == state.settled + state.backlog
