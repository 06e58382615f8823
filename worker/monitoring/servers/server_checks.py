"""Requirements on the servers, checked before a worker starts. Each refusal is a sentence that says what to set."""

from __future__ import annotations

from dataclasses import dataclass, field

import redis
from sqlalchemy import Connection, Engine

from worker.errors import CopydeskError, Exit
from worker.monitoring.servers.redis_info import RedisInfo, read_info
from worker.store.migrations import schema_version

OLDEST_REDIS = (7, 0)
"""The first with script flags (`allow-oom`), `entries-added` and the present XAUTOCLAIM reply. Valkey began at 7.2."""
OLDEST_POSTGRESQL = (13, 0)
"""The oldest version that is still maintained; the code needs nothing newer."""


@dataclass(slots=True)
class Findings:
    """`refusals`: the worker must not start. `warned`: it may, but documents may be lost with the server."""

    refusals: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)


class ServerUnfit(CopydeskError):
    """Raised when a server must not be used as it is; the message says what to set."""

    exit_code = Exit.UNSOUND


def check_redis(client: redis.Redis, findings: Findings) -> None:
    """Check version, eviction, cluster and persistence. Raises redis.RedisError.

    It uses INFO, because managed servers forbid CONFIG. Only `save` is read by CONFIG, where that is allowed.
    """
    try:
        info = read_info(client)
    except redis.exceptions.NoPermissionError:
        findings.warned.append("Redis does not let this user ask INFO (ACL): eviction and persistence are not checked")
        return
    name = info.name.capitalize()
    if _numbers(info.version) < OLDEST_REDIS:
        findings.refusals.append(f"{name} {info.version} is too old: use Redis 7.0 or later, or Valkey")
    if info.is_cluster:
        findings.refusals.append(
            f"{name} runs as a cluster, whose nodes cannot change several keys at once: use a single server (or primary)"
        )
    if info.evicts:
        findings.refusals.append(
            f"{name} may throw documents away (maxmemory-policy {info.policy}): set maxmemory-policy noeviction"
        )
    if not info.append_only:
        findings.warned.append(
            f"{name} keeps snapshots only (no append-only file): a crash loses what came since the last; set appendonly yes"
            if _saves(client, info)
            else f"{name} keeps nothing on disk: its crash loses every document not yet stored; set appendonly yes"
        )


def _saves(client: redis.Redis, info: RedisInfo) -> bool:
    """Return whether snapshots are configured. Where CONFIG is forbidden, only snapshots of the past count."""
    try:
        configured: dict[str, str] = client.config_get("save")  # type: ignore[assignment]  # see `read_info`
        return bool(configured.get("save"))
    except redis.RedisError:
        return info.has_saved


def check_store(engine: Engine, findings: Findings) -> None:
    """Check version and schema. Raises SQLAlchemy's errors."""
    with engine.connect() as connection:
        _check_version(connection, findings)
        fault = schema_fault(connection)
    if fault:
        findings.refusals.append(fault)


def schema_fault(connection: Connection) -> str | None:
    """Return what is wrong with the store's schema, and what to do; None if it is what this code needs."""
    current, needed = schema_version.current(connection), schema_version.head()
    if current == needed:
        return None
    known = current is None or schema_version.is_known(current)
    return f"the store's schema is {current or 'empty'}, this code needs {needed}: " + (
        "run copydesk db upgrade" if known else "it is of a later version, run that one"
    )


def _check_version(connection: Connection, findings: Findings) -> None:
    dialect = connection.dialect
    version = tuple(dialect.server_version_info or ())
    if dialect.name == "postgresql" and version[:2] < OLDEST_POSTGRESQL:
        shown = ".".join(map(str, version))
        findings.refusals.append(f"PostgreSQL {shown} is too old: use {OLDEST_POSTGRESQL[0]} or later")


def enforce(client: redis.Redis, engine: Engine, *, strict: bool = False) -> list[str]:
    """Check both servers; return the warnings. Raises ServerUnfit, redis.RedisError and SQLAlchemy's errors.

    `strict`: a warning counts as a refusal.
    """
    findings = Findings()
    check_redis(client, findings)
    check_store(engine, findings)
    refusals = findings.refusals + (findings.warned if strict else [])
    if refusals:
        raise ServerUnfit("; ".join(refusals))
    return findings.warned


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
