"""Exports the metrics of all workers to Prometheus, read at each scrape: one endpoint for many machines.

Workers hold no metrics of their own, so nothing is lost when one of them is recycled, and none of them opens a port.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from threading import Lock

import redis
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as PrometheusMetric
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from worker.activity.heartbeats import workers
from worker.activity.minute_counters import LOCK_BOUNDS, OTHER, WAIT_BOUNDS, Minute, MinuteCounters
from worker.monitoring.sources.rejections import RECENT_MINUTES, rejection_alarms
from worker.monitoring.sources.stored_alarms import read_source_alarms
from worker.queue.clock import server_time
from worker.queue.lease_queue import LeaseQueue, id_key
from worker.queue.pauses import lane_pauses
from worker.queue.pauses.source_pauses import paused_sources
from worker.queue.replies import is_wrong_type
from worker.settings import Settings
from worker.store.clock import store_time
from worker.store.engine import driver_error
from worker.store.receipts import dead_letter_codes, waiting_for_links
from worker.store.sources.source_alarms import read_rhythms
from worker.telemetry.logs import get_logger
from worker.telemetry.metrics import METRICS, Metric

log = get_logger("metrics")

_WINDOW_MINUTES = 10
"""How far back a scrape reads. An endpoint that is scraped less often misses events."""
_MAX_SERIES = 1000
"""Limit of one metric's series: names that crawlers choose must not flood Prometheus.

The rest is counted as `(other)`.
"""

_SUM = "sum"
_BOUNDS = {"copydesk_latency_seconds": WAIT_BOUNDS, "copydesk_lock_seconds": LOCK_BOUNDS}
"""The bounds of each histogram."""
_PARTS = (("dispatcher",), ("consumer",), ("process",))

Series = dict[tuple[str, ...], float]
"""Labels → value."""
AllSeries = dict[str, Series]
"""Metric → its series."""


class Growth:
    """Builds counters that only grow from minutes that expire: adds what each minute gained since the last scrape."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, str, tuple[str, ...]], float] = {}
        self.totals: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)

    def take(self, minutes: Iterable[Minute]) -> None:
        first = None
        for minute in minutes:
            first = minute.at if first is None else first
            for name, key, value in _series_of(minute):
                gained = value - self._seen.get((minute.at, name, key), 0)
                self._seen[minute.at, name, key] = value
                if gained > 0:
                    self._add(name, key, gained)
        self._seen = {key: value for key, value in self._seen.items() if first is not None and key[0] >= first}

    def _add(self, name: str, key: tuple[str, ...], gained: float) -> None:
        known = self.totals[name]
        if key not in known and len(known) >= _MAX_SERIES and len(key) == 3:
            key = (key[0], OTHER, key[2])
        known[key] += gained  # type: ignore[assignment]  # a Counter of seconds is as good as one of ints


def _series_of(minute: Minute) -> Iterator[tuple[str, tuple[str, ...], float]]:
    for key, count in minute.outcomes.items():
        yield "copydesk_documents_total", key, count
    for key, count in minute.codes.items():
        yield "copydesk_rejected_total", key, count
    for lane, count in minute.deaths.items():
        yield "copydesk_deaths_total", (lane,), count
    for lane, count in minute.batches.items():
        yield "copydesk_batches_total", (lane,), count
    for lane, milliseconds in minute.work_ms.items():
        yield "copydesk_batch_seconds_total", (lane,), milliseconds / 1000
    for (lane, place), count in minute.waits.items():
        yield "copydesk_latency_seconds", (lane, str(place)), count
    for lane, milliseconds in minute.waited_ms.items():
        yield "copydesk_latency_seconds", (lane, _SUM), milliseconds / 1000
    for (lane, place), count in minute.locks.items():
        yield "copydesk_lock_seconds", (lane, str(place)), count
    for part, count in minute.restarts.items():
        yield "copydesk_watchdog_restarts_total", (part,), count
    for (lane, stage), milliseconds in minute.stages_ms.items():
        yield "copydesk_stage_seconds_total", (lane, stage), milliseconds / 1000
        if stage == "lock":
            yield "copydesk_lock_seconds", (lane, _SUM), milliseconds / 1000


class CopydeskCollector(Collector):
    """Reads Redis and the store at every scrape. A server that does not answer is exported as `copydesk_up 0`."""

    def __init__(self, config: Settings, client: redis.Redis, engine: Engine) -> None:
        self._config = config
        self._client = client
        self._engine = engine
        self._growth = Growth()
        self._lock = Lock()

    def collect(self) -> Iterator[PrometheusMetric]:
        with self._lock:
            series: AllSeries = defaultdict(dict)
            series["copydesk_up"]["redis",] = self._try(self._read_redis, series, redis.RedisError)
            series["copydesk_up"]["database",] = self._try(self._read_store, series, SQLAlchemyError)
            self._add_counters(series)
        for metric in METRICS:
            yield (
                _histogram(metric, series[metric.name])
                if metric.kind == "histogram"
                else _family(metric, series[metric.name])
            )

    def _add_counters(self, series: AllSeries) -> None:
        """Export 0 for events that have not happened yet; otherwise `increase()` misses the first one."""
        for lane in self._config.lane_list:
            for name in ("copydesk_deaths_total", "copydesk_batches_total", "copydesk_batch_seconds_total"):
                series[name][lane.name,] = 0
        series["copydesk_watchdog_restarts_total"].update(dict.fromkeys(_PARTS, 0))
        for name, totals in self._growth.totals.items():
            series[name].update(totals)

    def _try(self, read: Callable[[AllSeries], None], series: AllSeries, failure: type[Exception]) -> int:
        """Read the metrics of one server; return its `copydesk_up`."""
        try:
            read(series)
        except failure as error:
            next_ = "copydesk_up is 0; it is read again at the next scrape"
            log.warning("Metrics cannot be read from a server", error=str(driver_error(error)), next=next_)
            return 0
        return 1

    def _read_redis(self, series: AllSeries) -> None:
        for lane in self._config.lane_list:
            try:
                self._read_lane(lane.name, series)
            except redis.ResponseError as error:
                if not is_wrong_type(error):
                    raise
                log.warning(
                    "Metrics of a lane cannot be read",
                    lane=lane.name,
                    error=str(error),
                    next="copydesk health names the key",
                )
        minutes = MinuteCounters(self._client).window(_WINDOW_MINUTES)
        for alarm in rejection_alarms(minutes[-RECENT_MINUTES:], self._config.rejected_share):
            series["copydesk_source_alarm"][alarm.kind, alarm.source, alarm.site] = 1
        pauses = lane_pauses.paused(self._client)
        for lane in self._config.lane_list:
            series["copydesk_lane_paused"][lane.name,] = int(lane.name in pauses)
        self._growth.take(minutes)
        states: Counter[str] = Counter()
        pool: Counter[str] = Counter({"busy": 0, "idle": 0})
        now = server_time(self._client)
        for worker in workers(self._client):
            states[worker.state] += 1
            pool.update("busy" if process.lane else "idle" for process in worker.pool)
            if worker.last_progress is not None:
                series["copydesk_stalled_seconds"][worker.name,] = max(0.0, now - worker.last_progress)
        series["copydesk_workers"].update({("consuming",): 0, **{(state,): count for state, count in states.items()}})
        series["copydesk_pool_processes"].update({(state,): count for state, count in pool.items()})

    def _read_lane(self, name: str, series: AllSeries) -> None:
        queue = LeaseQueue(self._client, name)
        queue.ensure()
        state, now, label = queue.state(), server_time(self._client), (name,)
        series["copydesk_backlog_documents"][label] = state.backlog
        series["copydesk_pending_documents"][label] = state.pending
        series["copydesk_oldest_seconds"][label] = _age(state.oldest_id, now)
        series["copydesk_ahead_seconds"][label] = max(0.0, id_key(state.last_id)[0] / 1000 - now)
        series["copydesk_vanished_documents"][label] = state.added - state.settled - state.backlog
        series["copydesk_added_total"][label] = state.added
        for source in list(paused_sources(self._client, name))[:_MAX_SERIES]:
            series["copydesk_source_paused_documents"][name, source] = state.paused.get(source, 0)
        for outcome, count in state.outcomes.items():
            series["copydesk_outcomes_total"][name, outcome] = count

    def _read_store(self, series: AllSeries) -> None:
        with self._engine.connect() as connection:
            now = store_time(connection).timestamp()
            for code, count in dead_letter_codes(connection).items():
                series["copydesk_dead_letters"][code,] = count
            for alarm in read_source_alarms(connection):
                series["copydesk_source_alarm"][alarm.kind, alarm.source, alarm.site] = 1
            for row in read_rhythms(connection, limit=_MAX_SERIES):
                age = now - row.last_at.timestamp()
                series["copydesk_source_last_document_seconds"][row.source,] = max(0.0, age)
            count, since = waiting_for_links(connection)
            series["copydesk_unlinked_articles"][()] = count
            series["copydesk_link_lag_seconds"][()] = max(0.0, now - since.timestamp()) if since else 0.0


def _family(metric: Metric, series: Series) -> PrometheusMetric:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family: CounterMetricFamily | GaugeMetricFamily = kind(
        metric.name.removesuffix("_total"), metric.description, labels=metric.labels
    )
    for labels, value in sorted(series.items()):
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, series: Series) -> PrometheusMetric:
    """Build a histogram from (lane, index of the bound) → count. The sum of all values is under `_SUM`."""
    family = HistogramMetricFamily(metric.name, metric.description, labels=metric.labels)
    for lane in sorted({lane for lane, _ in series}):
        total, buckets = 0.0, []
        for place, bound in enumerate((*_BOUNDS[metric.name], math.inf)):
            total += series.get((lane, str(place)), 0)
            buckets.append(("+Inf" if bound == math.inf else f"{float(bound)}", total))
        family.add_metric([lane], buckets, series.get((lane, _SUM), 0))
    return family


def _age(oldest_id: str | None, now: float) -> float:
    return max(0.0, now - id_key(oldest_id)[0] / 1000) if oldest_id else 0.0
