"""Parts of a status snapshot with plausible values; any field can be given."""

from __future__ import annotations

from typing import Any

from worker.cli.terminal import OUTCOMES
from worker.monitoring.servers.redis_info import RedisInfo
from worker.monitoring.status import (
    DatabaseStatus,
    LaneStatus,
    LaneSums,
    PeriodCounts,
    ProcessStatus,
    QueueStatus,
    RecentCounts,
    RejectedCount,
    SilentWorker,
    StoreStatus,
    WorkerStatus,
)


def redis_info(**fields: Any) -> RedisInfo:
    values = {
        "ms": 0.4,
        "name": "valkey",
        "version": "9.1.2",
        "used_bytes": 12_000_000,
        "max_bytes": None,
        "policy": "noeviction",
        "append_only": True,
        "last_write": "ok",
        "last_save": "ok",
        "has_saved": False,
        "is_cluster": False,
        "up_seconds": 100,
    }
    return RedisInfo(**{**values, **fields})


def database(**fields: Any) -> DatabaseStatus:
    values = {"ms": 1.0, "server": "postgresql 16.1", "schema": "v1", "needs_schema": "v1", "used_bytes": 5_000_000}
    return DatabaseStatus(**{**values, **fields})


def lane(name: str = "documents", **fields: Any) -> LaneStatus:
    values = {
        "added": 1_234_567,
        "settled": 1_200_000,
        "backlog": 34_567,
        "pending": 400,
        "oldest_seconds": 75.0,
        "outcomes": {"stored": 5},
        "missing": 0,
        "aside": 0,
        "fault": None,
        "rate": 700.0,
        "in_rate": 12.5,
        "lately_settled": 42_000,
        "drain_seconds": 50.3,
        "paused": None,
    }
    return LaneStatus(lane=name, **{**values, **fields})


def worker(name: str = "host-17.example:4711", **fields: Any) -> WorkerStatus:
    values = {
        "state": "consuming",
        "for_seconds": 99.0,
        "reason": "",
        "version": "1",
        "up_seconds": 100.0,
        "lanes": ("documents",),
        "silent_seconds": 1.0,
        "pool": (ProcessStatus(1, "documents", 100, 1.5), ProcessStatus(2, None, 0, None)),
    }
    return WorkerStatus(worker=name, **{**values, **fields})


def period(seconds: int, **fields: Any) -> PeriodCounts:
    values = {
        "added": 1,
        "settled": 2,
        "rate": 3.0,
        "outcomes": dict.fromkeys(OUTCOMES, 123_456),
        "sources": {"crawler": {"stored": 1}},
        "rejected": (RejectedCount("no_title", "crawler", 1),),
    }
    return PeriodCounts(seconds=seconds, **{**values, **fields})


def queue(sources: dict[str, dict[str, int]] | None = None, **fields: Any) -> QueueStatus:
    given = {} if sources is None else {"sources": sources}
    values = {
        "lanes": (lane(),),
        "internal": lane("copydesk:internal"),
        "sum": LaneSums(added=1, settled=1, backlog=0, missing=0),
        "outcomes": {"stored": 5},
        "workers": (worker(),),
        "missed": (),
        "recent": RecentCounts(period(97, **given), period(3600, **given), period(86_400, **given)),
    }
    return QueueStatus(**{**values, **fields})


def silent(name: str = "host-18.example:1") -> SilentWorker:
    return SilentWorker(name, 30.0)


def store(**fields: Any) -> StoreStatus:
    values = {
        "dead_letters": {"no_title": 3},
        "store": {"articles": 7},
        "behind": 0,
        "enriching": (),
        "database": database(),
    }
    return StoreStatus(**{**values, **fields})
