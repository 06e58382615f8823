"""Whether there is capacity for more documents: on the disk of the embedded servers, and in Redis."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import redis
from sqlalchemy import make_url

from worker.monitoring.servers.redis_info import read_info
from worker.settings import Settings
from worker.telemetry.sizes import size_text


@dataclass(frozen=True, slots=True)
class Capacity:
    """Reasons as sentences, empty when all is well. `full`: stop dispatching. `low`: slow producers down."""

    full: str = ""
    low: str = ""


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
    for folder in _folders(settings):
        free = shutil.disk_usage(folder).free if folder.exists() else settings.disk_free_bytes
        if free < settings.disk_free_bytes:
            return (
                f"only {size_text(free)} are free on the disk of {folder}, "
                f"less than {size_text(settings.disk_free_bytes)} (COPYDESK_DISK_FREE_BYTES): free some space there"
            )
    return ""


def _folders(settings: Settings) -> list[Path]:
    """Return the folders of the embedded Valkey and of SQLite, as far as they are used."""
    folders = [settings.data_dir] if settings.redis_url is None else []
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database:
        folders.append(Path(url.database).parent)
    return folders


def _redis(client: redis.Redis, share: float) -> str:
    """When Redis is out of memory only producers are refused. Workers must continue, because settling frees memory."""
    info = read_info(client)
    if info.is_full(share):
        used, limit = size_text(info.used_bytes), size_text(info.max_bytes or 0)
        return f"Redis uses {used} of its {limit} (maxmemory): give it more memory, or start more workers"
    failed = ", ".join(info.failed_writes)
    return f"Redis cannot write its file ({failed}): look at its disk and its log" if failed else ""
