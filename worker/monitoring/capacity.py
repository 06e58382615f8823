"""Whether there is capacity for more documents: on the disk of the embedded servers, and in Redis."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

import redis

from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Capacity:
    """Reasons as sentences, empty when all is well. `full`: stop dispatching. `tight`: slow producers down."""

    full: str = ""
    tight: str = ""


def capacity(settings: Settings, client: redis.Redis) -> Capacity:
    """Check disk and Redis. Raises redis.RedisError."""
    try:
        low = _redis(client, settings.redis_memory_share)
    except redis.exceptions.NoPermissionError:
        low = ""  # an ACL without INFO: the administrator monitors the server
    return Capacity(_disk(settings), low)


def _disk(settings: Settings) -> str:
    """Check the disk only for SQLite and the embedded Valkey, which need space to finish running writes.

    Other servers have their own disks and monitoring.
    """
    if settings.database_url is not None and settings.redis_url is not None:
        return ""
    free = shutil.disk_usage(settings.data_dir).free if settings.data_dir.exists() else settings.disk_free_bytes
    if free >= settings.disk_free_bytes:
        return ""
    return (
        f"only {free >> 20:,} MB are free on the disk of {settings.data_dir}, "
        f"fewer than {settings.disk_free_bytes >> 20:,} (COPYDESK_DISK_FREE_BYTES): make room there"
    )


def _redis(client: redis.Redis, share: float) -> str:
    """When Redis is out of memory only producers are refused. Workers must continue, because settling frees memory."""
    memory: Any = client.info("memory")
    used, most = int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0))
    if most and used >= share * most:
        return f"Redis uses {used >> 20:,} of its {most >> 20:,} MB (maxmemory): give it more, or more workers"
    persistence: Any = client.info("persistence")
    failed = [n for n in ("aof_last_write_status", "rdb_last_bgsave_status") if persistence.get(n, "ok") != "ok"]
    return f"Redis cannot write its file ({', '.join(failed)}): look at its disk and its log" if failed else ""
