"""What Redis reports about itself (INFO): read and interpreted here, for status, health, alarms and start-up checks.

CONFIG is not used, because managed servers forbid it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import redis


@dataclass(frozen=True, slots=True)
class RedisInfo:
    """The fields of INFO that matter. Sizes are bytes; None stands for a field that the server does not report."""

    ms: float
    """How long one INFO took, in milliseconds."""
    name: str
    """`redis` or `valkey`."""
    version: str
    used_bytes: int
    max_bytes: int | None
    """`maxmemory`; None without a limit."""
    policy: str | None
    """`maxmemory-policy`."""
    append_only: bool
    last_write: str | None
    """`ok`, or that the last write to the append-only file failed."""
    last_save: str | None
    """`ok`, or that the last snapshot (RDB) failed."""
    has_saved: bool
    """Whether a snapshot was written since the server started."""
    is_cluster: bool
    up_seconds: int | None
    ok: Literal[True] = True

    @property
    def server(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def evicts(self) -> bool:
        """Whether the server deletes documents when its memory is full."""
        return self.policy not in ("noeviction", None)

    @property
    def failed_writes(self) -> list[str]:
        """The names, in INFO, of the writes to disk that failed."""
        writes = {"aof_last_write_status": self.last_write, "rdb_last_bgsave_status": self.last_save}
        return [name for name, status in writes.items() if status not in ("ok", None)]

    def is_full(self, share: float) -> bool:
        """Return whether more than `share` (0 to 1) of the memory limit is used."""
        return self.max_bytes is not None and self.used_bytes >= share * self.max_bytes

    def to_json(self) -> dict[str, object]:
        """Return the object `redis` of `copydesk status --json`."""
        names = ("ok", "ms", "server", "used_bytes", "max_bytes", "policy", "append_only", "last_write", "up_seconds")
        return {name: getattr(self, name) for name in names}


def read_info(client: redis.Redis) -> RedisInfo:
    """Read INFO, in one round trip. Raises redis.RedisError."""
    started = time.perf_counter()
    info: dict[str, Any] = client.info()
    name = "valkey" if "valkey_version" in info else "redis"
    return RedisInfo(
        ms=round((time.perf_counter() - started) * 1000, 1),
        name=name,
        version=str(info.get(f"{name}_version") or "0"),
        used_bytes=int(info.get("used_memory") or 0),
        max_bytes=info.get("maxmemory") or None,
        policy=info.get("maxmemory_policy"),
        append_only=bool(info.get("aof_enabled")),
        last_write=info.get("aof_last_write_status"),
        last_save=info.get("rdb_last_bgsave_status"),
        has_saved=bool(info.get("rdb_last_save_time")) and bool(info.get("rdb_saves")),
        is_cluster=bool(info.get("cluster_enabled")) or info.get("redis_mode") == "cluster",
        up_seconds=info.get("uptime_in_seconds"),
    )
