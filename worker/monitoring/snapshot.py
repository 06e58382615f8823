"""The status snapshot: lanes, workers, outcomes, dead letters, servers, and whether all entries are accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from worker.activity import heartbeats
from worker.activity.minute_counters import Minute, MinuteCounters
from worker.jobs.lane_repair import fault, server_ms, vanished
from worker.monitoring.rates import Flow, drain_seconds, flow
from worker.monitoring.servers import database_health, redis_health
from worker.queue.lane_pauses import Pause, paused
from worker.queue.lease_queue import LeaseQueue, id_key
from worker.settings import INTERNAL_LANE, Settings
from worker.store import receipts
from worker.store.background.pending import pending_work
from worker.store.engine import driver_error

_DAY_MINUTES = 1440


class Recent:
    """Caches the minute counters of the last day. Past minutes do not change, so a repeated call reads two of them."""

    def __init__(self, client: redis.Redis) -> None:
        self._counters = MinuteCounters(client)
        self._minutes: dict[int, Minute] = {}

    @property
    def known(self) -> list[Minute]:
        """The minutes that `look` returned last."""
        return list(self._minutes.values())

    def look(self, now: float) -> list[Minute]:
        """Return the last 1,440 minutes and the current one, oldest first. Raises redis.RedisError."""
        last = int(now // 60)
        known = max(self._minutes, default=0)
        # The newest cached minute may have been incomplete, and so may the one before: its last batches were in flight.
        missing = min(_DAY_MINUTES + 1, last - known + 2)
        for minute in self._counters.window(missing, now=now):
            self._minutes[minute.at // 60] = minute
        wanted = range(last - _DAY_MINUTES, last + 1)
        self._minutes = {number: self._minutes.get(number, Minute(number * 60)) for number in wanted}
        return list(self._minutes.values())


def figures(settings: Settings, client: redis.Redis, engine: Engine) -> dict[str, Any]:
    """Return a complete snapshot. Raises redis.RedisError; an error of the database is reported under `database`."""
    found = of_redis(settings, client, Recent(client))
    return {**found, **of_store(engine)}


def of_redis(settings: Settings, client: redis.Redis, recent: Recent) -> dict[str, Any]:
    """Return lanes, workers and recent counts. The counts of one lane are of one moment, so its sum always holds.

    Raises redis.RedisError.
    """
    seconds, micros = client.time()
    now = seconds + micros / 1e6  # the server's time, as in entry ids and minutes
    minutes = recent.look(now)
    held = paused(client)
    lanes = [_lane(client, lane.name, minutes, now, held.get(lane.name)) for lane in settings.lane_list]
    lately = {
        "minute": _flow(minutes, 2, 60 + now % 60), "hour": _flow(minutes, 60, 3600), "day": _flow(minutes, 1440, 86_400),
    }  # fmt: skip
    at_work = heartbeats.workers(client)
    return {
        "lanes": lanes,
        # Replays, reprocessing and messages kept from Celery's queue; counted apart from what producers submitted.
        "internal": _lane(client, INTERNAL_LANE, minutes, now, None),
        "sum": {name: sum(lane[name] for lane in lanes) for name in ("added", "settled", "backlog", "missing")},
        # From Redis: the store would have to scan all receipts, and the old ones are deleted.
        "outcomes": dict(sum((Counter(lane["outcomes"]) for lane in lanes), Counter[str]())),
        "workers": [_worker(worker, now) for worker in at_work],
        "missed": [{"worker": name, "silent_seconds": silent} for name, silent in heartbeats.missing(client, at_work)],
        "recent": {name: _shown(part) for name, part in lately.items()},
        "redis": redis_health(client),
    }


def of_store(engine: Engine) -> dict[str, Any]:
    """Return the counts of the store; empty when it cannot be reached."""
    found: dict[str, Any] = {
        "dead_letters": {},
        "store": {},
        "behind": 0,
        "enriching": [],
        "database": database_health(engine),
    }
    if not found["database"]["ok"]:
        return found
    try:
        with engine.connect() as connection:
            found["dead_letters"] = receipts.dead_letter_codes(connection)
            found["store"] = receipts.totals(connection)
            found["behind"] = receipts.behind(connection)
            found["enriching"] = pending_work(connection)
    except SQLAlchemyError as error:
        found["database"] = {"ok": False, "error": str(driver_error(error)).strip()}
    return found


def _lane(client: redis.Redis, name: str, minutes: Sequence[Minute], now: float, pause: Pause | None) -> dict[str, Any]:
    queue = LeaseQueue(client, name)
    queue.ensure()
    state = queue.state()
    oldest = now - id_key(state.oldest_id)[0] / 1000 if state.oldest_id else None
    lately = _flow(minutes, 2, 60 + now % 60, lane=name)
    rate, in_rate = lately.rate, round(lately.added / lately.seconds, 1)
    return {
        "lane": name,
        "added": state.added,
        "settled": state.settled,
        "backlog": state.backlog,
        "pending": state.pending,
        "oldest_seconds": round(max(oldest, 0), 1) if oldest is not None else None,
        "outcomes": state.outcomes,
        "missing": vanished(state),
        "aside": state.aside,
        "fault": fault(state, server_ms(client)),
        "rate": rate,
        "in_rate": in_rate,
        "drain_seconds": drain_seconds(state.backlog, rate - in_rate),
        "paused": {"who": pause.who, "why": pause.why, "by": pause.by, "seconds": _age(pause.at, now)}
        if pause
        else None,
    }


def measure(lanes: Sequence[dict[str, Any]], before: Sequence[Mapping[str, Any]], seconds: float) -> None:
    """Set the rates of `lanes` from the counts `seconds` ago (`before`): minutes are too coarse for a burst."""
    earlier = {lane["lane"]: lane for lane in before}
    for lane in lanes:
        was = earlier.get(lane["lane"])
        if was is None or seconds <= 0:
            continue
        lane["rate"] = round(max(0, lane["settled"] - was["settled"]) / seconds, 1)
        lane["in_rate"] = round(max(0, lane["added"] - was["added"]) / seconds, 1)
        lane["drain_seconds"] = drain_seconds(lane["backlog"], lane["rate"] - lane["in_rate"])


def _flow(minutes: Sequence[Minute], count: int, seconds: float, *, lane: str | None = None) -> Flow:
    before = minutes[-count - 1] if len(minutes) > count else None
    return flow(minutes[-count:], before, seconds=seconds, lane=lane)


def _shown(found: Flow) -> dict[str, Any]:
    return {
        "seconds": round(found.seconds),
        "added": found.added,
        "settled": found.settled,
        "rate": found.rate,
        "outcomes": dict(found.outcomes),
        "sources": {source: dict(counts) for source, counts in found.by_source.items()},
        "rejected": [
            {"code": code, "source": source, "documents": count}
            for (code, source), count in found.rejected.most_common(100)
        ],
    }


def _worker(worker: heartbeats.WorkerState, now: float) -> dict[str, Any]:
    return {
        "worker": worker.name, "state": worker.state, "for_seconds": _age(worker.since, now), "reason": worker.reason,
        "version": worker.version, "up_seconds": _age(worker.started, now), "lanes": list(worker.lanes),
        "silent_seconds": _age(worker.beat, now),
        "pool": [
            {"pid": process.pid, "lane": process.lane, "documents": process.documents, "busy_seconds": _age(process.since, now)}
            for process in worker.pool
        ],
    }  # fmt: skip


def _age(moment: float | None, now: float) -> float | None:
    return None if not moment else round(max(0.0, now - moment), 1)


def is_drained(lanes: Sequence[Mapping[str, Any]], internal_pending: int) -> bool:
    """Return whether no entry is pending, and none waits on a lane that is not paused."""
    return not internal_pending and all(
        not lane["pending"] and (lane.get("paused") or not lane["backlog"]) for lane in lanes
    )
