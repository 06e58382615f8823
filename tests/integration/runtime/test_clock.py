"""A worker whose clock is days off does not use it to order versions, judge ids or stamp rows."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from tests.faults.registry import Unavailable, faketime
from tests.support.runtime_hooks import SHORT, article
from tests.support.servers import Background, copydesk, until
from worker.activity.heartbeats import workers
from worker.documents.limits import Limits
from worker.monitoring.health import check
from worker.pipeline import Batch, process
from worker.queue.lease_queue import LeaseQueue
from worker.queue.pauses.source_pauses import paused_sources
from worker.settings import Settings
from worker.store import tables
from worker.store.engine import make_engine
from worker.store.receipts import highest_id

_NEAR = timedelta(minutes=10)


@pytest.fixture
def off_by(tmp_path):
    """`off_by(days)`: the environment of a process whose clock is shifted so far."""

    def environment(days):
        clock = tmp_path / f"clock of {days}"
        try:
            found = faketime(clock)
        except Unavailable as why:
            pytest.skip(str(why))
        clock.write_text(f"{days:+d}d\n")
        return found

    return environment


@pytest.fixture
def settings(valkey, redis_client, migrated_postgres_url, tmp_path):
    settings = {"COPYDESK_REDIS_URL": valkey.url, "COPYDESK_DATABASE_URL": migrated_postgres_url, "COPYDESK_DATA_DIR": str(tmp_path),
                **SHORT, "COPYDESK_LINK": "false"}  # fmt: skip
    return settings


@pytest.fixture
def engine(settings, migrated_postgres_url, tmp_path):
    engine = make_engine(Settings(database_url=migrated_postgres_url, data_dir=tmp_path), pooled=False)
    yield engine
    engine.dispose()


def work(queue, engine):
    """Process the entries of the lane in this process, whose clock is right."""
    ids = [id_ for id_, _ in queue.dispatch(limit=10, pending_cap=100, max_bytes=1 << 20).entries]
    entries = queue.claim("right", ids, lease_seconds=60, max_bytes=1 << 20)
    batch = Batch(queue.lane, None, "right", 3, Limits(), clock=queue.clock)
    versions = process(engine, batch, entries, end_attempt=lambda: None)
    queue.settle((version.id, str(version.outcome)) for version in versions)


def receipt(engine, id_):
    with engine.connect() as connection:
        return connection.execute(select(tables.receipts).where(tables.receipts.c.id == id_)).first()


@pytest.mark.parametrize("days", [-2, pytest.param(2, marks=pytest.mark.long)])
def test_versions_are_ordered_and_rows_stamped_as_if_its_clock_were_right(
    days, off_by, settings, engine, redis_client, tmp_path
):
    queue = LeaseQueue(redis_client, "documents")
    queue.ensure()
    redis_client.xadd("documents", {"raw": article(1), "key": "one"})
    work(queue, engine)
    second = redis_client.xadd("documents", {"raw": article(2), "key": "one"}).decode()
    chosen = f"{int((time.time() + 36 * 3600) * 1000)}-0"  # set by the producer
    with Background("worker", "--no-supervised", cwd=tmp_path, **settings, **off_by(days)):
        found = until(lambda: receipt(engine, second), what="the second version has its outcome")
        assert found.outcome == "updated"
        assert abs(found.settled_at - datetime.now(UTC)) < _NEAR
        redis_client.xadd("documents", {"raw": article(3), "key": "one"}, id=chosen)
        assert until(lambda: receipt(engine, chosen), what="the third has its outcome").outcome == "updated"
    with engine.connect() as connection:
        (document,) = connection.execute(select(tables.documents)).all()
        assert abs(int(document.revision.partition("-")[0]) / 1000 - time.time()) < _NEAR.total_seconds()
        assert abs(document.changed_at - datetime.now(UTC)) < _NEAR
        assert highest_id(connection, "documents") < chosen
        stamps = [
            time_ for row in connection.execute(select(tables.articles.c.first_seen_at, tables.articles.c.changed_at))
            for time_ in row
        ]  # fmt: skip
    assert stamps
    assert all(abs(stamp - datetime.now(UTC)) < _NEAR for stamp in stamps)
    redis_client.xadd("documents", {"raw": article(4), "key": "one"}, id=f"{int(chosen.split('-')[0]) + 1}-0")
    work(queue, engine)
    with engine.connect() as connection:
        assert connection.scalar(select(tables.receipts.c.outcome).order_by(tables.receipts.c.id.desc())) == "updated"


def test_maintenance_with_a_clock_two_months_ahead_deletes_nothing_young(off_by, settings, engine, tmp_path):
    with engine.begin() as connection:
        row = {"sha256": b"\1" * 32, "size": 1, "bytes": b"x", "last_seen_at": datetime.now(UTC) - timedelta(days=1)}
        connection.execute(insert(tables.raw_documents).values(row))
        connection.execute(
            insert(tables.raw_documents).values(
                row | {"sha256": b"\2" * 32, "last_seen_at": datetime.now(UTC) - timedelta(days=40)}
            )
        )
    # A monotonic clock that is not shifted makes Python's time.sleep fail under libfaketime.
    done = copydesk(
        "db", "prune", "--yes", cwd=tmp_path, **settings, **{**off_by(60), "FAKETIME_DONT_FAKE_MONOTONIC": "0"}
    )

    assert done.returncode == 0, done.stderr
    with engine.connect() as connection:
        assert [bytes(one) for one in connection.scalars(select(tables.raw_documents.c.sha256))] == [b"\1" * 32]


def test_workers_of_hosts_with_wrong_clocks_stay_visible_and_healthy(off_by, settings, redis_client, tmp_path):
    one, two = ({**settings, **off_by(days)} for days in (-1, 1))
    options = ("worker", "--no-supervised", "--concurrency", "1")
    with Background(*options, cwd=tmp_path, **one), Background(*options, cwd=tmp_path, **two):
        until(lambda: sum(worker.is_consuming for worker in workers(redis_client)) == 2, what="both consume")
        looks = []
        for _ in range(50):
            looks.append(workers(redis_client))
            time.sleep(0.1)  # together more than two heartbeats
        assert {len(alive) for alive in looks} == {2}
        now, alive = time.time(), looks[-1]
        assert all(0 <= now - worker.started < 120 and now - worker.last_progress < 10 for worker in alive)
        reasons = check(Settings(), redis_client, None).reasons
        assert not [reason for reason in reasons if "worker " in reason], reasons
        paused = copydesk("lane", "pause", "documents", "--source", "s", cwd=tmp_path, **one)
        assert paused.returncode == 0, paused.stderr
        assert paused_sources(redis_client, "documents")["s"].at == pytest.approx(now, abs=60)
