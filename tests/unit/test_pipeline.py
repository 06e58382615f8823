"""The way of an entry before its document is read."""

from datetime import UTC, datetime

import pytest

from worker.documents.limits import Limits
from worker.pipeline import Batch, open_entry
from worker.queue.lease_queue import Claimed

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


@pytest.mark.parametrize(
    ("ms", "taken_ms"),
    [
        (NOW_MS - 5000, NOW_MS - 5000),
        (NOW_MS + 240_000, NOW_MS + 240_000),
        (NOW_MS + 360_000, NOW_MS),
        (99_999_999_999_999, NOW_MS),
        (2**64 - 1, NOW_MS),
    ],
    ids=["five seconds ago", "four minutes ahead", "six minutes ahead", "the year 5138", "the highest id"],
)
def test_an_id_that_is_far_in_the_future_counts_as_now(ms, taken_ms):
    batch = Batch("documents", None, "w", 3, Limits(), clock=lambda: NOW)
    item = open_entry(batch, Claimed(f"{ms}-7", 0, 1, {b"raw": b"x"}, truncated=False))
    assert round(item.received_at.timestamp() * 1000) == taken_ms
    assert str(taken_ms) in item.revision
