"""Actions on many documents hold a few of them in memory at once, however many match."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.integration.store.store_driver import work
from worker.dead_letters import bulk_actions
from worker.dead_letters.bulk_edit import bulk_edit, replacing
from worker.documents.limits import Limits
from worker.jobs import reprocessing
from worker.queue.lease_queue import Claimed, LeaseQueue
from worker.settings import INTERNAL_LANE
from worker.store import dead_letters as dead

DOCUMENTS, BYTES = 120, 50_000
ALL, LIMITS = dead.Filter(), Limits()


def put(engine, excerpt):
    """Process documents of `BYTES` each."""
    for first in range(0, DOCUMENTS, 20):
        entries = []
        for n in range(first, first + 20):
            raw = f"---\ntitle: Story {n}\nexcerpt: {excerpt}\nwebUrl: https://a.example/{n}\n---\n".encode()
            fields = {b"raw": raw.ljust(BYTES, b"x"), b"source": b"s", b"key": b"%d" % n}
            entries.append(Claimed(f"{1_700_000_000_000 + n}-0", 0, BYTES, fields, truncated=False))
        work(engine, "documents", entries)


def replay(engine, client):
    return bulk_actions.dry_run(engine, ALL, LIMITS).seen


def edit(engine, client):
    return bulk_edit(engine, client, ALL, replacing("call it: ", "call it "), LIMITS)[1]


def discard(engine, client):
    return bulk_actions.discard(engine, ALL, "not ours")


def reprocess(engine, client):
    return reprocessing.forecast(engine, reprocessing.Filter(), LIMITS).seen


@pytest.mark.parametrize(("act", "excerpt"), [
    (replay, "They call it: the hall"), (edit, "They call it: the hall"), (discard, "They call it: the hall"), (reprocess, "The hall"),
])  # fmt: skip
def test_memory_does_not_grow_with_the_number_of_documents(engine, redis_client, act, excerpt):
    put(engine, excerpt)
    LeaseQueue(redis_client, INTERNAL_LANE).ensure()
    tracemalloc.start()
    try:
        assert act(engine, redis_client) == DOCUMENTS
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < DOCUMENTS * BYTES * 0.6, f"{peak:,} bytes at most, of {DOCUMENTS * BYTES:,}"
