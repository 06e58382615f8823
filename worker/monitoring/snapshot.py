"""Reads the status snapshot: lanes, workers and recent outcomes from Redis, counts from the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from worker.activity import heartbeats
from worker.activity.minute_counters import Minute, MinuteCounters, total
from worker.jobs.lane_repair import fault, server_ms, vanished, wrong_keys
from worker.monitoring.lane_faults import unreadable_keys
from worker.monitoring.linking_status import read_linking
from worker.monitoring.rates import Flow, drain_seconds, flow
from worker.monitoring.servers.server_state import database_status
from worker.monitoring.source_pauses import read_source_pauses
from worker.monitoring.sources.rejections import RECENT_MINUTES, rejection_alarms
from worker.monitoring.sources.stored_alarms import read_source_alarms
from worker.monitoring.status import (
    LaneStatus,
    LaneSums,
    PauseStatus,
    PeriodCounts,
    ProcessStatus,
    QueueStatus,
    RecentCounts,
    RejectedCount,
    SilentWorker,
    StoreStatus,
    Unreachable,
    WorkerStatus,
    WorkStatus,
)
from worker.queue.clock import server_time
from worker.queue.lease_queue import LeaseQueue, id_key
from worker.queue.pauses.lane_pauses import Pause, paused
from worker.queue.replies import is_wrong_type
from worker.settings import INTERNAL_LANE, Settings
from worker.store import receipts
from worker.store.background.work_rows import pending_work
from worker.store.engine import driver_error
from worker.store.linking.link_states import pending_count
from worker.telemetry.logs import mask

_DAY_MINUTES = 1440
_MAX_REJECTED = 100
"""Limit of the causes of rejection of one period."""


class MinuteCache:
    """Caches the minute counters of the last day. Past minutes do not change, so a repeated call reads two of them."""

    def __init__(self, client: redis.Redis) -> None:
        self._counters = MinuteCounters(client)
        self._minutes: dict[int, Minute] = {}
        self._past = Minute(0)
        self._past_until = 0

    @property
    def minutes(self) -> list[Minute]:
        """The minutes that `read` returned last."""
        return list(self._minutes.values())

    def read(self, now: float) -> list[Minute]:
        """Return the last 1,440 minutes and the current one, oldest first. Raises redis.RedisError."""
        last = int(now // 60)
        known = max(self._minutes, default=0)
        # The newest cached minute may have been incomplete, and so may the one before: its last batches were in flight.
        missing = min(_DAY_MINUTES + 1, last - known + 2)
        for minute in self._counters.window(missing, now=now):
            self._minutes[minute.at // 60] = minute
        numbers = range(last - _DAY_MINUTES, last + 1)
        self._minutes = {number: self._minutes.get(number, Minute(number * 60)) for number in numbers}
        return list(self._minutes.values())

    def day(self) -> list[Minute]:
        """Return the last 1,440 minutes, of which all that do not change any more are summed up in the first.

        To add a day of twenty sources up takes 40 ms of CPU, and the console does it once a second.
        """
        *past, before, last = self.minutes[-_DAY_MINUTES:]
        if last.at != self._past_until:
            self._past, self._past_until = total(past), last.at
        return [self._past, before, last]


def read_queue(settings: Settings, client: redis.Redis, cache: MinuteCache) -> QueueStatus:
    """Return lanes, workers and recent counts. The counts of one lane are of one moment, so its sum always holds.

    Raises redis.RedisError.
    """
    now = server_time(client)  # as in entry ids and minutes
    minutes = cache.read(now)
    pauses = paused(client)
    lanes = tuple(read_lane(client, lane.name, minutes, now, pauses.get(lane.name)) for lane in settings.lane_list)
    alive = heartbeats.workers(client)
    return QueueStatus(
        lanes=lanes,
        internal=read_lane(client, INTERNAL_LANE, minutes, now, None),
        sum=LaneSums(
            added=sum(lane.added for lane in lanes),
            settled=sum(lane.settled for lane in lanes),
            backlog=sum(lane.backlog for lane in lanes),
            missing=sum(lane.missing for lane in lanes),
        ),
        # From Redis: the store would have to scan all receipts, and the old ones are deleted.
        outcomes=dict(sum((Counter(lane.outcomes) for lane in lanes), Counter[str]())),
        workers=tuple(_worker(worker, now) for worker in alive),
        missed=tuple(SilentWorker(name, silent) for name, silent in heartbeats.missing(client, alive)),
        recent=RecentCounts(
            minute=_period(_flow(minutes, 2, 60 + now % 60)),
            hour=_period(_flow(minutes, 60, 3600)),
            day=_period(flow(cache.day(), minutes[0], seconds=86_400)),
        ),
        rejecting=tuple(rejection_alarms(minutes[-RECENT_MINUTES:], settings.rejected_share)),
        unreadable=unreadable_keys(minutes),
    )


def read_store(engine: Engine, *, is_linking: bool) -> StoreStatus:
    """Return the counts of the store. `is_linking`: the setting COPYDESK_LINK. An error of the database is reported under `database`."""
    database = database_status(engine)
    if database.ok:
        try:
            with engine.connect() as connection:
                return StoreStatus(
                    dead_letters=receipts.dead_letter_codes(connection),
                    store=receipts.totals(connection),
                    behind=receipts.behind(connection),
                    enriching=tuple(WorkStatus(**work) for work in pending_work(connection)),
                    database=database,
                    linking=read_linking(connection, is_linking=is_linking),
                    # A store that is not upgraded yet has no alarms of sources.
                    source_alarms=read_source_alarms(connection) if database.has_needed_schema else (),
                    last_receipt_at=receipts.last_settled_at(connection),
                )
        except SQLAlchemyError as error:
            database = Unreachable(error=mask(str(driver_error(error))).strip())
    return StoreStatus({}, {}, 0, (), database)


def count_unlinked(engine: Engine) -> int:
    """Return how many articles the linker has to link, or to link again. Raises SQLAlchemy's errors."""
    with engine.connect() as connection:
        return pending_count(connection)


def read_lane(client: redis.Redis, name: str, minutes: Sequence[Minute], now: float, pause: Pause | None) -> LaneStatus:
    """Return the state of a lane. `minutes` end with the present one; `now` is in seconds since 1970. Raises redis.RedisError."""
    queue = LeaseQueue(client, name)
    pause_status = PauseStatus(pause.who, pause.why, pause.by, _age(pause.at, now)) if pause else None
    try:
        queue.ensure()
        state = queue.state()
        paused_sources = read_source_pauses(client, name, state.paused, now)
    except redis.ResponseError as error:
        if not is_wrong_type(error):
            raise
        return _unreadable_lane(client, name, pause_status)
    lately = _flow(minutes, 2, 60 + now % 60, lane=name)
    rate, in_rate = lately.rate, round(lately.added / lately.seconds, 1)
    status = LaneStatus(
        lane=name,
        added=state.added,
        settled=state.settled,
        backlog=state.backlog,
        pending=state.pending,
        oldest_seconds=_age(id_key(state.oldest_id)[0] / 1000, now) if state.oldest_id else None,
        outcomes=state.outcomes,
        missing=vanished(state),
        aside=state.aside,
        fault=fault(state, server_ms(client)),
        rate=rate,
        in_rate=in_rate,
        lately_settled=lately.settled,
        drain_seconds=None,
        paused=pause_status,
        paused_sources=paused_sources,
    )
    return replace(status, drain_seconds=drain_seconds(status.waiting, rate - in_rate))


def _unreadable_lane(client: redis.Redis, name: str, pause: PauseStatus | None) -> LaneStatus:
    """Return the state of a lane of which a key holds something else."""
    return LaneStatus(
        lane=name,
        added=0,
        settled=0,
        backlog=0,
        pending=0,
        oldest_seconds=None,
        outcomes={},
        missing=0,
        aside=0,
        fault="wrong_type",
        rate=0.0,
        in_rate=0.0,
        lately_settled=0,
        drain_seconds=None,
        paused=pause,
        wrong_keys=tuple(str(wrong) for wrong in wrong_keys(client, name)),
    )


def with_rates(queue: QueueStatus, before: QueueStatus, seconds: float) -> QueueStatus:
    """Return `queue` with the rates since `before`, which is `seconds` older: minutes are too coarse for a burst."""
    if seconds <= 0:
        return queue
    earlier = {lane.lane: lane for lane in before.lanes}
    lanes = (_with_rates(lane, earlier[lane.lane], seconds) if lane.lane in earlier else lane for lane in queue.lanes)
    return replace(queue, lanes=tuple(lanes))


def _with_rates(lane: LaneStatus, before: LaneStatus, seconds: float) -> LaneStatus:
    rate = round(max(0, lane.settled - before.settled) / seconds, 1)
    in_rate = round(max(0, lane.added - before.added) / seconds, 1)
    return replace(lane, rate=rate, in_rate=in_rate, drain_seconds=drain_seconds(lane.waiting, rate - in_rate))


def _flow(minutes: Sequence[Minute], count: int, seconds: float, *, lane: str | None = None) -> Flow:
    before = minutes[-count - 1] if len(minutes) > count else None
    return flow(minutes[-count:], before, seconds=seconds, lane=lane)


def _period(part: Flow) -> PeriodCounts:
    return PeriodCounts(
        seconds=round(part.seconds),
        added=part.added,
        settled=part.settled,
        rate=part.rate,
        outcomes=dict(part.outcomes),
        sources={source: dict(counts) for source, counts in part.by_source.items()},
        rejected=tuple(
            RejectedCount(code, source, count) for (code, source), count in part.rejected.most_common(_MAX_REJECTED)
        ),
    )


def _worker(worker: heartbeats.WorkerState, now: float) -> WorkerStatus:
    return WorkerStatus(
        worker=worker.name,
        state=worker.state,
        for_seconds=_age(worker.since, now),
        reason=worker.reason,
        version=worker.version,
        up_seconds=_age(worker.started, now),
        lanes=worker.lanes,
        silent_seconds=_age(worker.heartbeat_at, now),
        pool=tuple(ProcessStatus(one.pid, one.lane, one.documents, _age(one.since, now)) for one in worker.pool),
    )


def _age(moment: float | None, now: float) -> float | None:
    return None if not moment else round(max(0.0, now - moment), 1)
