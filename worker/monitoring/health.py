"""Health for orchestrators: a few round trips, no message to Celery, and a sentence for each problem."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import redis
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from worker.activity.heartbeats import SILENT_SECONDS, WorkerState, missing, workers
from worker.activity.minute_counters import Minute, MinuteCounters
from worker.monitoring.lane_faults import counter_faults, lane_faults, standstill, unreadable_keys
from worker.monitoring.linking_status import read_linking
from worker.monitoring.servers.capacity import capacity
from worker.monitoring.servers.server_checks import schema_fault
from worker.monitoring.snapshot import read_lane
from worker.monitoring.source_pauses import source_pause_sentences
from worker.monitoring.sources.alarm import SourceAlarm, merged, source_sentences
from worker.monitoring.sources.rejections import RECENT_MINUTES, rejection_alarms
from worker.monitoring.sources.stored_alarms import read_source_alarms
from worker.monitoring.status import LaneStatus
from worker.queue.clock import server_time
from worker.queue.connection_faults import connection_fault
from worker.queue.pauses import lane_pauses
from worker.queue.pauses.lane_pauses import Pause
from worker.settings import INTERNAL_LANE, Settings
from worker.store.engine import driver_error
from worker.store.tables import lanes as lanes_table
from worker.telemetry.durations import duration_text
from worker.telemetry.logs import mask

FELL_SILENT = "its process is stopped or dead, or cannot reach Redis"


@dataclass(slots=True)
class Health:
    """The result of a health check.

    `healthy`: documents are processed. `degraded`: they are processed or wait on purpose, but somebody should look.
    `unhealthy`: they are not processed.
    """

    unreachable: list[str] = field(default_factory=list)
    """Servers that do not answer."""
    wrong: list[str] = field(default_factory=list)
    """Why no documents are processed."""
    remarks: list[str] = field(default_factory=list)
    """What somebody should look at."""
    workers: list[WorkerState] = field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        """All sentences, the worst first."""
        return [*self.unreachable, *self.wrong, *self.remarks]

    @property
    def summary(self) -> str:
        return "unhealthy" if self.unreachable or self.wrong else "degraded" if self.remarks else "healthy"


def check(settings: Settings, client: redis.Redis, engine: Engine | None, *, host: str | None = None) -> Health:
    """Check workers, lanes, capacity and the store. Never raises for a server that does not answer.

    `engine` None: there is no store. `host`: only the workers of this machine count, as a container's health check needs.
    """
    health, rejecting = Health(), list[SourceAlarm]()
    try:
        alive, now = workers(client), server_time(client)
        counted = [worker for worker in alive if host is None or worker.host == host]
        silent_workers = [] if host is not None else missing(client, alive)
        pauses = lane_pauses.paused(client)
        shortage = capacity(settings, client)
        minutes = MinuteCounters(client).window(RECENT_MINUTES)
        lanes = _read_lanes(settings, client, minutes, pauses, now)
    except (redis.RedisError, OSError) as error:
        fault = connection_fault(settings.redis, error)
        health.unreachable.append(f"{fault.cause}. {fault.remedy}")
    else:
        health.workers = counted
        _check_workers(health, counted, settings, now)
        health.remarks += [
            f"worker {name} fell silent {duration_text(silent)} ago: {FELL_SILENT}" for name, silent in silent_workers
        ]
        for lane, pause in pauses.items():
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(pause.at))
            health.remarks.append(f"lane {lane} is paused by {pause.who} since {since}: {pause.why}")
        for status in lanes:
            health.remarks += _lane_sentences(status, is_served=host is None and bool(alive))
        health.remarks += counter_faults(unreadable_keys(minutes))
        health.remarks += [sentence for sentence in (shortage.full, shortage.low) if sentence]
        rejecting = rejection_alarms(minutes, settings.rejected_share)
    raised = _check_store(health, engine, is_linking=settings.link) if engine is not None else ()
    if host is None:
        health.remarks += source_sentences(merged(raised, rejecting))
    return health


def _read_lanes(
    settings: Settings, client: redis.Redis, minutes: Sequence[Minute], pauses: Mapping[str, Pause], now: float
) -> list[LaneStatus]:
    names = [lane.name for lane in settings.lane_list if client.exists(lane.name)]
    lanes = [read_lane(client, name, minutes, now, pauses.get(name)) for name in names]
    internal = read_lane(client, INTERNAL_LANE, minutes, now, None)
    return [internal, *lanes] if internal.fault == "wrong_type" else lanes


def _lane_sentences(lane: LaneStatus, *, is_served: bool) -> Iterator[str]:
    yield from lane_faults(lane)
    yield from (sentence for _, sentence in source_pause_sentences(lane.lane, lane.paused_sources))
    if is_served and lane.paused is None:
        fault = standstill(lane)
        yield from (fault,) if fault else ()


def _check_store(health: Health, engine: Engine, *, is_linking: bool) -> tuple[SourceAlarm, ...]:
    """Check the store; returns the alarms of sources in it."""
    try:
        with engine.connect() as connection:
            connection.execute(select(lanes_table.c.name).limit(1))
            linking = read_linking(connection, is_linking=is_linking)
            raised = read_source_alarms(connection)
    except (SQLAlchemyError, OSError) as error:
        fault = _schema_fault(engine)
        if fault:
            health.wrong.append(fault)
        else:
            text = " ".join(str(driver_error(error)).split())
            health.unreachable.append(f"the store cannot be used: {text}")
        return ()
    health.remarks += [linking.fault] if linking.fault else []
    if fault := _schema_fault(engine):
        health.wrong.append(fault)  # a worker that runs continues, one that is started refuses it
    return raised


def _schema_fault(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            return schema_fault(connection)
    except (SQLAlchemyError, OSError):
        return None


def _check_workers(health: Health, alive: list[WorkerState], settings: Settings, now: float) -> None:
    """Add what is wrong with the workers. `now` is Redis's time, in seconds since 1970."""
    well = [worker for worker in alive if worker.state in ("consuming", "paused")]
    if not alive:
        health.wrong.append(
            f"no worker has sent a heartbeat for {SILENT_SECONDS} s: start one with copydesk worker (or copydesk up)"
        )
    elif not well:
        health.wrong.append("no worker is consuming")
    for worker in alive:
        silent = now - (worker.last_progress or worker.started)
        if worker not in well:
            sentence = (
                f"worker {worker.name} is {worker.state}: {worker.reason or 'for ' + duration_text(now - worker.since)}"
            )
            (health.remarks if well else health.wrong).append(sentence)
        elif silent > settings.watchdog_seconds:
            health.remarks.append(f"worker {worker.name} has made no step for {duration_text(silent)}")


def as_json(health: Health) -> dict[str, object]:
    """Return the JSON of `health --json`. Secrets in the reasons are masked."""
    return {
        "health": health.summary,
        "reasons": [mask(reason) for reason in health.reasons],
        "workers": [
            {"name": w.name, "state": w.state, "since": w.since, "reason": w.reason, "pool": [p.pid for p in w.pool]}
            for w in health.workers
        ],
    }
