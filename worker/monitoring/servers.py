"""The state of Redis and of the database: reachable, how fast, how full, and the settings that matter."""

from __future__ import annotations

import time
from typing import Any

import redis
from sqlalchemy import Engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from worker.store import migration
from worker.store.engine import driver_error
from worker.telemetry.logs import mask


def redis_health(client: redis.Redis) -> dict[str, Any]:
    """Return `ok`, and either the `error` or the server's state. Sizes are bytes; `ms` is the time of one INFO."""
    started = time.perf_counter()
    try:
        info: Any = client.info()
    except (redis.RedisError, OSError) as error:
        return {"ok": False, "error": mask(str(error))}
    took = round((time.perf_counter() - started) * 1000, 1)
    name = "valkey" if "valkey_version" in info else "redis"
    return {
        "ok": True, "ms": took, "server": f"{name} {info.get('valkey_version') or info.get('redis_version')}",
        "used_bytes": info.get("used_memory"), "max_bytes": info.get("maxmemory") or None,
        "policy": info.get("maxmemory_policy"), "append_only": bool(info.get("aof_enabled")),
        "last_write": info.get("aof_last_write_status"), "up_seconds": info.get("uptime_in_seconds"),
    }  # fmt: skip


def database_health(engine: Engine) -> dict[str, Any]:
    """Return `ok`, and either the `error` or the server, its schema and its size in bytes."""
    started = time.perf_counter()
    try:
        with engine.connect() as connection:
            took = round((time.perf_counter() - started) * 1000, 1)
            schema = migration.current(connection)
            size = _size(connection)
            version = ".".join(str(part) for part in connection.dialect.server_version_info or ())
    except SQLAlchemyError as error:
        return {"ok": False, "error": mask(str(driver_error(error))).strip()}
    return {
        "ok": True, "ms": took, "server": f"{engine.dialect.name} {version}", "schema": schema,
        "needs_schema": migration.head(), "used_bytes": size,
    }  # fmt: skip


def _size(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
    pages, of = (connection.scalar(text(f"PRAGMA {name}")) for name in ("page_count", "page_size"))
    return int(pages or 0) * int(of or 0)
