"""Derives alarms from a snapshot: what each is about, and a sentence that names the problem and the action.

The runbook has a heading for each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from worker.monitoring.health import FELL_SILENT
from worker.monitoring.lane_faults import counter_faults, lane_faults, standstill
from worker.monitoring.servers.redis_info import RedisInfo
from worker.monitoring.source_pauses import source_pause_sentences
from worker.monitoring.sources.alarm import MAX_SENTENCES, source_sentences
from worker.monitoring.status import DatabaseStatus, QueueStatus, Silent, Snapshot, StoreStatus, Unreachable
from worker.telemetry.durations import duration_text

_FULL_SHARE = 0.9
_ALARMING_STATES = ("stuck", "full", "waiting-for-store", "waiting-for-redis")


class About(StrEnum):
    """What an alarm is about."""

    SERVER = "server"
    WORKER = "worker"
    LANE = "lane"
    SOURCE = "source"
    LINKER = "linker"


class Alarm(NamedTuple):
    """An alarm. `name`: of the source; empty for all others, and for many sources together. `paused_lane`: the lane that can
    be resumed, or whose source of this name can.
    """

    about: About
    sentence: str
    name: str = ""
    paused_lane: str = ""


def alarms(snapshot: Snapshot) -> list[Alarm]:
    """Return the alarms of a snapshot, the worst first; empty when all is well."""
    found = [Alarm(About.SERVER, sentence) for sentence in _of_servers(snapshot)]
    if snapshot.queue is not None:
        found += [Alarm(About.WORKER, sentence) for sentence in _of_workers(snapshot.queue)]
        found += _of_lanes(snapshot.queue)
        found += [Alarm(About.SERVER, sentence) for sentence in counter_faults(snapshot.queue.unreadable)]
    raised = snapshot.source_alarms
    names = [*(one.source for one in raised[:MAX_SENTENCES]), ""]  # the last sentence counts the others
    found += [
        Alarm(About.SOURCE, sentence, name) for sentence, name in zip(source_sentences(raised), names, strict=False)
    ]
    if snapshot.queue is not None:
        found += [
            Alarm(About.SOURCE, sentence, source, lane.lane if source else "")
            for lane in snapshot.queue.lanes
            for source, sentence in source_pause_sentences(lane.lane, lane.paused_sources)
        ]
    if snapshot.store is not None and snapshot.store.linking is not None and snapshot.store.linking.fault:
        found.append(Alarm(About.LINKER, snapshot.store.linking.fault))
    return found


def _of_servers(snapshot: Snapshot) -> Iterator[str]:
    servers = snapshot.servers
    if isinstance(server := servers.get("redis"), Unreachable):
        yield redis_outage(server, snapshot.store)
    if isinstance(server := servers.get("database"), Unreachable):
        yield f"The database cannot be reached: {server.error}"
    for server in servers.values():
        if isinstance(server, RedisInfo):
            yield from _of_redis(server)
        elif isinstance(server, DatabaseStatus) and not server.has_needed_schema:
            yield f"The schema is {server.schema or 'empty'}, {server.needs_schema} is needed: copydesk db upgrade"


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


def _of_lanes(queue: QueueStatus) -> Iterator[Alarm]:
    if queue.internal.fault == "wrong_type":
        yield from (Alarm(About.LANE, sentence) for sentence in lane_faults(queue.internal))
    for lane in queue.lanes:
        yield from (Alarm(About.LANE, sentence) for sentence in lane_faults(lane))
        if lane.paused:
            pause = lane.paused
            sentence = f"Lane {lane.lane} is paused by {pause.who} ({pause.why}): copydesk lane resume {lane.lane}"
            yield Alarm(About.LANE, sentence, paused_lane=lane.lane)
        elif queue.workers and (fault := standstill(lane)):
            yield Alarm(About.LANE, fault)
