"""Derives alarms from a snapshot: sentences that name the problem and the action.

The runbook has a heading for each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from worker.monitoring.health import FELL_SILENT
from worker.monitoring.lane_faults import lane_faults
from worker.monitoring.servers.redis_info import RedisInfo
from worker.monitoring.sources.alarm import source_sentences
from worker.monitoring.status import DatabaseStatus, QueueStatus, Silent, Snapshot, StoreStatus, Unreachable
from worker.telemetry.durations import duration_text

_OLD_SECONDS = 60.0
_FULL_SHARE = 0.9
_ALARMING_STATES = ("stuck", "full", "waiting-for-store", "waiting-for-redis")


def alarms(snapshot: Snapshot) -> list[str]:
    """Return the alarms of a snapshot, the worst first; empty when all is well."""
    servers = snapshot.servers
    sentences = []
    if isinstance(server := servers.get("redis"), Unreachable):
        sentences.append(redis_outage(server, snapshot.store))
    if isinstance(server := servers.get("database"), Unreachable):
        sentences.append(f"The database cannot be reached: {server.error}")
    for server in servers.values():
        if isinstance(server, RedisInfo):
            sentences += _of_redis(server)
        elif isinstance(server, DatabaseStatus) and not server.has_needed_schema:
            sentences.append(
                f"The schema is {server.schema or 'empty'}, {server.needs_schema} is needed: copydesk db upgrade"
            )
    if snapshot.queue is not None:
        sentences += [*_of_workers(snapshot.queue), *_of_lanes(snapshot.queue)]
    sentences += source_sentences(snapshot.source_alarms)
    if snapshot.store is not None and snapshot.store.linking is not None and snapshot.store.linking.fault:
        sentences.append(snapshot.store.linking.fault)
    return sentences


def redis_outage(server: Unreachable, store: StoreStatus | None) -> str:
    """Return why Redis cannot be used, when the store last got a document, and what that means for documents."""
    parts = [server.error]
    if store is not None and store.database.ok:
        last = store.last_receipt_at
        ago = "there is no receipt yet" if last is None else f"the last receipt is {_age(last)} old"
        parts.append(ago)
    if isinstance(server, Silent):
        parts.append("documents wait in Redis, nothing is taken from it")
    return "; ".join(parts)


def _age(moment: float) -> str:
    return duration_text(max(0.0, time.time() - moment))


def _of_redis(server: RedisInfo) -> Iterator[str]:
    if server.evicts:
        yield f"Redis may delete documents: its maxmemory-policy is {server.policy}, set noeviction"
    if not server.append_only:
        yield "Redis keeps no append-only file: a crash of it loses what is not stored yet"
    if server.last_write not in ("ok", None):
        yield "Redis cannot write its append-only file: look at its disk"
    if server.is_full(_FULL_SHARE):
        yield "Redis is nearly full: raise maxmemory, or let the backlog drain"


def _of_workers(queue: QueueStatus) -> Iterator[str]:
    if not queue.workers:
        yield "No worker is alive: start one with copydesk up or copydesk worker"
    for silent in queue.missed:
        yield f"Worker {silent.worker} fell silent {duration_text(silent.silent_seconds)} ago: {FELL_SILENT}"
    for worker in queue.workers:
        if worker.state in _ALARMING_STATES:
            yield f"Worker {worker.worker} is {worker.state}{': ' + worker.reason if worker.reason else ''}"


def _of_lanes(queue: QueueStatus) -> Iterator[str]:
    for lane in queue.lanes:
        yield from lane_faults(lane)
        if lane.paused:
            pause = lane.paused
            yield f"Lane {lane.lane} is paused by {pause.who} ({pause.why}): copydesk lane resume {lane.lane}"
        elif queue.workers and not lane.rate and (lane.oldest_seconds or 0) > _OLD_SECONDS:
            yield f"Lane {lane.lane} stands still: {lane.backlog:,} wait and none gets an outcome, see the log"
