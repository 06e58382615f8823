"""The way of an entry before its document is read."""

from datetime import UTC, datetime

import pytest

from worker.documents.limits import Limits
from worker.pipeline import Batch, open_entry
from worker.queue.lease_queue import Claimed

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


@pytest.mark.parametrize(
    ("id_", "order", "arrived", "received", "ordered_by"),
    [
        (f"{NOW_MS - 5000}-7", None, None, NOW_MS - 5000, NOW_MS - 5000),
        (f"{NOW_MS + 90_000_000}-7", f"{NOW_MS - 10}-8", NOW_MS - 10, NOW_MS - 10, NOW_MS - 10),
        (f"{NOW_MS - 20}-7", f"{NOW_MS + 90_000_000}-8", NOW_MS - 20, NOW_MS - 20, NOW_MS + 90_000_000),
        (f"{NOW_MS - 20}-7", f"{NOW_MS - 5000}-0", None, NOW_MS - 5000, NOW_MS - 5000),
        (f"{NOW_MS + 90_000_000}-7", None, None, NOW_MS, NOW_MS + 90_000_000),
        (f"{2**64 - 1}-7", None, None, NOW_MS, NOW_MS),
    ],
    ids=["five seconds ago", "chosen by a producer", "after the clock was set back", "added again by a repair",
         "dispatched before the clock was set back", "dispatched by an older worker"],
)  # fmt: skip
def test_an_entry_is_ordered_by_the_id_that_redis_keeps_for_it(id_, order, arrived, received, ordered_by):
    batch = Batch("documents", None, "w", 3, Limits(), clock=lambda: NOW)
    item = open_entry(batch, Claimed(id_, 0, 1, {b"raw": b"x"}, False, order_id=order, arrived_ms=arrived))
    assert round(item.received_at.timestamp() * 1000) == received
    assert item.revision.startswith(f"{ordered_by:020d}-")
