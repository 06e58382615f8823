"""Derives alarms from a snapshot: sentences that name the problem and the action.

The runbook has a heading for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.jobs.lane_repair import sentences
from worker.monitoring.health import FELL_SILENT

_OLD_SECONDS = 60.0
_FULL_SHARE = 0.9


def alarms(found: Mapping[str, Any]) -> list[str]:
    """Return the alarms of a snapshot, the worst first; empty when all is well."""
    return [*_of_servers(found), *_of_workers(found), *_of_lanes(found)]


def _of_servers(found: Mapping[str, Any]) -> list[str]:
    out = []
    for name, label in (("redis", "Redis"), ("database", "The database")):
        server = found.get(name)
        if server is not None and not server["ok"]:
            out.append(f"{label} cannot be reached: {server['error']}")
    redis = found.get("redis") or {}
    if redis.get("ok"):
        if redis["policy"] not in ("noeviction", None):
            out.append(f"Redis may delete documents: its maxmemory-policy is {redis['policy']}, set noeviction")
        if not redis["append_only"]:
            out.append("Redis keeps no append-only file: a crash of it loses what is not stored yet")
        if redis["last_write"] not in ("ok", None):
            out.append("Redis cannot write its append-only file: look at its disk")
        if redis["max_bytes"] and redis["used_bytes"] > _FULL_SHARE * redis["max_bytes"]:
            out.append("Redis is nearly full: raise maxmemory, or let the backlog drain")
    database = found.get("database") or {}
    if database.get("ok") and database["schema"] != database["needs_schema"]:
        out.append(
            f"The schema is {database['schema'] or 'empty'}, {database['needs_schema']} is needed: copydesk db upgrade"
        )
    return out


def _of_workers(found: Mapping[str, Any]) -> list[str]:
    if "workers" not in found:
        return []
    missed = [
        f"Worker {worker['worker']} fell silent {worker['silent_seconds']:,.0f} s ago: {FELL_SILENT}"
        for worker in found.get("missed", [])
    ]
    if not found["workers"]:
        return ["No worker is alive: start one with copydesk up or copydesk worker", *missed]
    return missed + [
        f"Worker {worker['worker']} is {worker['state']}{': ' + worker['reason'] if worker['reason'] else ''}"
        for worker in found["workers"]
        if worker["state"] in ("stuck", "full", "waiting-for-store", "waiting-for-redis")
    ]


def _of_lanes(found: Mapping[str, Any]) -> list[str]:
    out = []
    for lane in found.get("lanes", []):
        out += sentences(lane)
        if lane.get("paused"):
            pause = lane["paused"]
            out.append(
                f"Lane {lane['lane']} is paused by {pause['who']} ({pause['why']}): copydesk lane resume {lane['lane']}"
            )
        elif found.get("workers") and not lane["rate"] and (lane["oldest_seconds"] or 0) > _OLD_SECONDS:
            out.append(
                f"Lane {lane['lane']} stands still: {lane['backlog']:,} wait and none gets an outcome, see the log"
            )
    return out
