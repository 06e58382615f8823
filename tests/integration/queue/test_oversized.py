"""Entries of any size and shape are claimed in little memory, and their stored prefix and digest are right."""

import hashlib
import subprocess
import sys

import pytest
import redis

from worker.queue.lease_queue import LeaseQueue
from worker.queue.oversized import read_prefix

MUCH = 1 << 20
WANTED = frozenset({b"raw", b"key"})

CLAIM = """
import resource, sys
from pathlib import Path
import redis
from worker.queue.lease_queue import LeaseQueue
queue = LeaseQueue(redis.Redis.from_url(sys.argv[1]), "documents")
status = Path("/proc/self/status")  # its VmHWM is of this process alone, getrusage's peak of the one before it too
def peak():
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) // 1024
before = peak()
ids = []
while entries := queue.dispatch(limit=100, pending_cap=1000, max_bytes=4 << 20).entries:
    ids += [id_ for id_, _ in entries]
claimed = [entry for id_ in ids for entry in queue.claim("w", [id_], lease_seconds=60, max_bytes=1 << 20)]
queue.state()
print(peak() - before, *(f"{entry.raw_size}:{entry.sha256.hex()}" for entry in claimed))
"""


@pytest.fixture
def queue(redis_client):
    queue = LeaseQueue(redis_client, "documents")
    queue.ensure()
    return queue


def claim_all(queue):
    ids = [id_ for id_, _ in queue.dispatch(limit=100, pending_cap=1000, max_bytes=4 << 20).entries]
    return queue.claim("w", ids, lease_seconds=60, max_bytes=MUCH)


def test_an_oversized_entry_is_dispatched_and_claimed_in_little_memory(queue, valkey):
    raws = [bytes([65 + n]) * (40 << 20) for n in range(2)]
    for raw in raws:
        queue.client.xadd(queue.lane, {"raw": raw, "key": "k"})
    done = subprocess.run(
        [sys.executable, "-c", CLAIM, valkey.url], capture_output=True, text=True, timeout=120, check=False
    )
    megabytes, *prefixes = done.stdout.split()
    assert prefixes == [f"{len(raw)}:{hashlib.sha256(raw).hexdigest()}" for raw in raws], done.stderr
    assert int(megabytes) < 20


def test_a_settled_oversized_entry_leaves_no_keys(queue):
    queue.client.xadd(queue.lane, {"raw": b"x" * (5 << 20)})
    (entry,) = claim_all(queue)
    assert queue.client.hlen(queue.oversized) == 1
    queue.settle([(entry.id, "rejected")])
    assert queue.client.hlen(queue.oversized) == 0


@pytest.mark.parametrize("size", [2 << 20, 5 << 20], ids=["found at the claim", "found at the dispatch"])
def test_attempts_at_an_oversized_entry_are_counted(queue, size):
    id_ = queue.client.xadd(queue.lane, {"raw": b"x" * size, "source": b"s"}).decode()
    for attempts in range(4):
        if attempts:  # the process that held it ended without a trace
            assert queue.reap(lease_seconds=0) == [(id_, attempts)]
        (entry,) = queue.claim("w", [id_], lease_seconds=60, max_bytes=MUCH) if attempts else claim_all(queue)
        assert (entry.attempts, entry.truncated, entry.raw_size) == (attempts, True, size)
        whole = attempts < 2
        assert (entry.sha256 == hashlib.sha256(b"x" * size).digest()) == whole
        assert entry.fields == ({b"raw": b"x" * 65536, b"source": b"s"} if whole else {b"raw": b"x" * 65536})


def test_only_a_bounded_number_of_fields_is_kept(queue):
    fields = {f"field {n}".encode(): b"x" * 10 for n in range(100_000)}
    queue.client.xadd(queue.lane, {**fields, b"raw": b"document", b"key": b"k"})
    (entry,) = claim_all(queue)
    assert (entry.fields[b"raw"], entry.fields[b"key"]) == (b"document", b"k")
    assert (entry.raw_size, entry.sha256) == (8, hashlib.sha256(b"document").digest())
    assert len(entry.fields) < 30


def test_empty_fields_count_in_the_limits_of_a_batch_and_of_an_entry(queue):
    for _ in range(4):
        queue.client.execute_command("XADD", queue.lane, "*", *[""] * 200_000)
    ids = [
        id_ for id_, size in queue.dispatch(limit=100, pending_cap=1000, max_bytes=4 << 20).entries if size == 3_200_000
    ]
    assert len(ids) == 2
    (entry, _) = queue.claim("w", ids, lease_seconds=60, max_bytes=MUCH)
    assert (entry.truncated, entry.size, entry.fields) == (True, 3_200_000, {b"": b""})


def test_an_entry_with_many_fields_can_be_added_again(queue):
    id_ = queue.client.xadd(queue.lane, {"raw": b"x", **{f"field {n}": b"x" for n in range(5000)}}).decode()
    claim_all(queue)
    fresh = queue.requeue(id_)
    others = {f"field {n}".encode(): b"x" for n in range(16)}
    assert queue.client.xrange(queue.lane, fresh, fresh) == [(fresh.encode(), {b"raw": b"x", **others})]


def test_binary_names_and_empty_fields_are_read(queue):
    id_ = queue.client.xadd(queue.lane, {b"\xff\xfe": b"", b"": b"x", b"raw": b"", b"key": b"x" * (2 << 20)}).decode()
    found = read_prefix(queue.client, queue.lane, id_, fields=WANTED)
    assert found.fields == {b"\xff\xfe": b"", b"": b"x", b"raw": b"", b"key": b"x" * 65536}
    assert (found.raw_size, found.sha256) == (0, hashlib.sha256(b"").digest())


def test_an_entry_that_is_gone_has_no_fields(queue):
    assert read_prefix(queue.client, queue.lane, "1-1", fields=WANTED).fields == {}


def test_an_error_of_the_server_is_raised_by_the_client(queue):
    queue.client.set("text", "x")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        read_prefix(queue.client, "text", "1-1", fields=WANTED)
    assert queue.client.ping()
