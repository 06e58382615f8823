"""Rows of the store have the store's time, receipts that of Redis, also where the two clocks differ."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tests.support.runtime_hooks import article
from worker.documents.limits import Limits
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.store.tables import articles, documents, receipts


@pytest.mark.parametrize("minutes", [-10, 10])
def test_only_receipts_have_the_time_of_redis(engine, minutes):
    def redis_time():
        return datetime.now(UTC) + timedelta(minutes=minutes)

    def is_now(time, *, off=0):
        return abs((time - datetime.now(UTC)).total_seconds() / 60 - off) < 1

    id_ = f"{int(redis_time().timestamp() * 1000)}-0"
    batch = Batch("documents", None, "test", 3, Limits(), clock=redis_time)
    process(engine, batch, [Claimed(id_, 0, 100, {b"raw": article(1).encode(), b"key": b"one"}, truncated=False)], end_attempt=lambda: None)  # fmt: skip
    with engine.connect() as connection:
        assert is_now(connection.scalars(select(receipts.c.settled_at)).one(), off=minutes)
        assert is_now(connection.scalars(select(documents.c.changed_at)).one())
        for article_times in connection.execute(select(articles.c.first_seen_at, articles.c.changed_at)):
            assert all(is_now(time) for time in article_times)
