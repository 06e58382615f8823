"""The state of Redis and of the database: reachable, how fast, how full, and the settings that matter."""

from __future__ import annotations

import time

import redis
from sqlalchemy import Engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from worker.monitoring.servers.redis_info import RedisInfo, read_info
from worker.monitoring.status import DatabaseStatus, ErrorReply, Silent, Unreachable
from worker.queue.connection_faults import connection_fault
from worker.store.engine import driver_error
from worker.store.migrations import schema_version
from worker.telemetry.logs import mask


def redis_status(client: redis.Redis, url: str) -> RedisInfo | Unreachable:
    """Return the state of Redis at `url`, or why it cannot be read."""
    try:
        return read_info(client)
    except (redis.RedisError, OSError) as error:
        return unreachable_redis(url, error)


def unreachable_redis(url: str, error: Exception) -> Unreachable:
    """Return why Redis at `url` cannot be used. A client of it raised `error`."""
    fault = connection_fault(url, error)
    is_answer = isinstance(error, redis.ResponseError)
    return (Silent if fault.is_silent else ErrorReply if is_answer else Unreachable)(error=mask(fault.cause))


def database_status(engine: Engine) -> DatabaseStatus | Unreachable:
    """Return the state of the database, or why it cannot be read."""
    started = time.perf_counter()
    try:
        with engine.connect() as connection:
            return DatabaseStatus(
                ms=round((time.perf_counter() - started) * 1000, 1),
                server=f"{engine.dialect.name} {'.'.join(map(str, connection.dialect.server_version_info or ()))}",
                schema=schema_version.current(connection),
                needs_schema=schema_version.head(),
                used_bytes=_size(connection),
            )
    except SQLAlchemyError as error:
        return Unreachable(error=mask(str(driver_error(error))).strip())


def _size(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
    pages, of = (connection.scalar(text(f"PRAGMA {name}")) for name in ("page_count", "page_size"))
    return int(pages or 0) * int(of or 0)
