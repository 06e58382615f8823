"""Malformed entries stop neither a script, nor a command, nor the entries beside them."""

from __future__ import annotations

import pytest
import redis

from schemas.envelope import parse_envelope
from tests.support.snapshots import lane
from worker.jobs import lane_repair
from worker.monitoring.lane_faults import lane_faults
from worker.queries.pending import added_again, pending
from worker.queue import keys
from worker.queue.lease_queue import LeaseQueue
from worker.queue.server_functions import load_functions
from worker.queue.store_timeouts import StoreTimeouts

MANY = 5000
FUTURE = "18446744073709551615-18446744073709551615"
ODD = {
    "thousands of fields": [part for n in range(MANY) for part in (f"f{n}", "x")] + ["raw", "odd"],
    "thousands of fields, the document first": ["raw", "odd"] + [part for n in range(MANY) for part in (f"f{n}", "x")],
    "only unknown fields": [part for n in range(MANY) for part in (f"f{n}", "x")],
    "one name thousands of times": ["raw", "first"] * MANY + ["raw", "odd"],
    "one unknown name thousands of times": ["x", "y"] * MANY,
    "a name of a megabyte": ["n" * (1 << 20), "x", "raw", "odd"],
    "names that are no text": [b"\xff\x00", b"\xfe", "raw", "odd"],
    "an empty name": ["", "", "raw", "odd"],
    "400,000 fields": ["a", ""] * 400_000,
}  # fmt: skip


@pytest.fixture
def queue(redis_client):
    found = LeaseQueue(redis_client, "documents")
    found.ensure()
    return found


def add(queue, *parts, id_="*"):
    return queue.client.execute_command("XADD", queue.lane, id_, *parts).decode()


def dispatched(queue, most=5000):
    return [id_ for id_, _ in queue.dispatch(limit=most, pending_cap=10_000, max_bytes=1 << 26).entries]


def claimed(queue, ids, worker="w"):
    found = queue.claim(worker, ids, lease_seconds=25, max_bytes=1 << 26)
    for entry in found:
        assert parse_envelope(entry.fields)
    return [entry.fields.get(b"raw") for entry in found]


@pytest.mark.parametrize("parts", ODD.values(), ids=ODD)
def test_every_script_accepts_an_odd_entry_and_those_beside_it(queue, parts):
    add(queue, "raw", "before")
    odd = add(queue, *parts)
    add(queue, "raw", "after")
    raw = dict(zip(parts[::2], parts[1::2], strict=True)).get("raw")
    wanted = [b"before", raw and raw.encode(), b"after"]

    ids = dispatched(queue)
    assert claimed(queue, ids) == wanted
    queue.end_attempt("w", ids)
    queue.begin_attempt("w", ids)
    assert pending(queue.client, [queue.lane], odd)[0]["state"] == "processing"
    queue.release("w", ids, lease_seconds=0)
    assert [id_ for id_, _ in queue.reap(lease_seconds=0)] == ids

    again = queue.requeue(odd)
    assert again is not None
    (added,) = dispatched(queue)
    assert claimed(queue, [added]) == [raw and raw.encode()], "what means something is kept, as a worker read it"

    add(queue, "raw", "future", id_=FUTURE)
    assert lane_repair.repair(queue).readded == 4
    now = dispatched(queue)
    assert sorted(filter(None, claimed(queue, now))) == sorted(filter(None, [*wanted, b"future"]))
    assert len(queue.settle((id_, "stored") for id_ in now)) == 4
    state = queue.state()
    assert (lane_repair.vanished(state), state.backlog, state.aside) == (0, 0, 0)


def test_scripts_accept_thousands_of_ids_in_one_call(queue):
    for n in range(9000):
        add(queue, "raw", str(n))
    ids = dispatched(queue, most=9000)
    assert len(claimed(queue, ids)) == 9000
    queue.end_attempt("w", ids)
    assert len(queue.settle((id_, "stored") for id_ in ids)) == 9000
    assert queue.client.xpending(queue.lane, "copydesk")["pending"] == 0


def test_entries_of_an_interrupted_repair_are_found(queue):
    ids = [add(queue, "raw", "text", "source", "crawler") for _ in range(50)]
    added = queue.state().added
    queue.client.rename(queue.lane, queue.aside)
    queue.ensure()
    queue.client.execute_command("XSETID", queue.lane, "0-1", "ENTRIESADDED", added, "MAXDELETEDID", "0-1")

    state = queue.state()
    assert (state.aside, lane_repair.vanished(state)) == (50, 0)
    (sentence,) = lane_faults(lane(queue.lane, missing=0, aside=state.aside))
    assert "50 entries" in sentence
    assert "trimmed" not in sentence
    assert f"copydesk lane repair {queue.lane}" in sentence
    (found,) = pending(queue.client, [queue.lane], ids[7])
    assert (found["state"], found["source"]) == ("set aside", "crawler")

    assert lane_repair.repair(queue) == lane_repair.Repair(50, 0)
    assert (queue.state().aside, queue.state().backlog) == (0, 50)


@pytest.mark.parametrize("id_", ["18446744073709551616-1", "99999999999999999999-0", "²-1", "٣-1", "1-1\n", "-1-1", ""])
def test_an_invalid_id_is_on_no_lane(queue, id_):
    assert pending(queue.client, [queue.lane], id_) == []


@pytest.mark.parametrize("documents", [
    ["0"], ["-2", "raw", "x"], ["1", "raw"], ["nan"], ["inf", "raw", "x"], ["abc", "raw", "x"], ["4", "raw", "x"],
    ["2", "raw", "good", "10000", *["f", "x"] * 5000], ["2", "raw", "good", "0"],
])  # fmt: skip
def test_the_submit_function_adds_all_entries_of_a_call_or_none(queue, documents):
    load_functions(queue.client)
    with pytest.raises(redis.ResponseError, match="fields"):
        queue.client.fcall("copydesk_submit", 1, "once:a", queue.lane, 60, *documents)
    assert queue.client.xlen(queue.lane) == 0
    queue.client.fcall("copydesk_submit", 1, "once:a", queue.lane, 60, "2", "raw", "good")
    assert queue.client.xlen(queue.lane) == 1


def test_values_of_other_programs_beside_the_lane_count_as_absent(queue):
    client, ids = queue.client, [add(queue, "raw", "x") for _ in range(3)]
    client.hset(queue.oversized, mapping=dict.fromkeys(ids, "abc"))
    client.hset(keys.original_ids(queue.lane), mapping={**dict.fromkeys(ids, b"\xff"), b"\xff": ids[0]})
    client.hset(keys.store_timeouts(queue.lane), mapping=dict.fromkeys(ids, "abc"))
    client.hset(queue.counters, mapping={"stored": "abc", "readded": "1.5"})
    client.set(keys.clock(queue.lane), "abc")
    client.hset(queue.paused_sources, queue.lane, "{}")
    assert dispatched(queue) == []
    client.delete(queue.paused_sources)
    assert sorted(dispatched(queue)) == ids, "of a resumed source"
    assert [entry.original_id for entry in queue.claim("w", ids, lease_seconds=25, max_bytes=1 << 20)] == [None] * 3
    assert StoreTimeouts(queue).record(ids[0]) == 1
    assert queue.renew_leases_after_clock_step() == 0
    assert int(client.get(keys.clock(queue.lane))) > 1_700_000_000_000
    fresh = queue.requeue(ids[0])
    assert queue.settle([(ids[1], "stored")]) == [ids[1]]
    assert queue.state().outcomes == {}
    assert lane_repair.repair(queue).vanished == 2, "the entry that is settled and the one that was added again"
    assert added_again(client, [queue.lane], ids[0]) == [fresh]
