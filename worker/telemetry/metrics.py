"""The list of all metrics of the Prometheus endpoint with their meaning.

Tests compare the endpoint, the alert rules, the dashboard and the documentation with this list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric. `exact` is False if the value comes from the approximate counters by minute."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    description: str
    exact: bool = True


METRICS = (
    Metric("copydesk_up", "gauge", ("server",), "1: redis or the database answers, 0: it does not"),
    Metric("copydesk_backlog_documents", "gauge", ("lane",), "entries on the lane that have no outcome yet"),
    Metric("copydesk_pending_documents", "gauge", ("lane",), "entries of the backlog that were dispatched"),
    Metric("copydesk_oldest_seconds", "gauge", ("lane",), "age of the oldest entry without an outcome; 0: there is none"),
    Metric("copydesk_ahead_seconds", "gauge", ("lane",), "how far the lane's newest id is ahead of Redis's time"),
    Metric("copydesk_vanished_documents", "gauge", ("lane",), "entries that left the lane without an outcome: trimmed or deleted"),
    Metric("copydesk_lane_paused", "gauge", ("lane",), "1: the lane is paused, by an operator or by the circuit breaker"),
    Metric("copydesk_source_paused_documents", "gauge", ("lane", "source"), "entries of a paused source, which wait"),
    Metric("copydesk_added_total", "counter", ("lane",), "entries ever added to the lane"),
    Metric("copydesk_outcomes_total", "counter", ("lane", "outcome"), "documents ever settled, by outcome"),
    Metric("copydesk_documents_total", "counter", ("lane", "source", "outcome"), "documents settled, by source", exact=False),
    Metric("copydesk_rejected_total", "counter", ("lane", "source", "code"), "documents rejected, by first error", exact=False),
    Metric("copydesk_latency_seconds", "histogram", ("lane",), "time from a document's arrival on its lane to its outcome", exact=False),
    Metric("copydesk_deaths_total", "counter", ("lane",), "pool processes that ended while they held documents of the lane", exact=False),
    Metric("copydesk_batches_total", "counter", ("lane",), "batches done", exact=False),
    Metric("copydesk_batch_seconds_total", "counter", ("lane",), "wall time of those batches", exact=False),
    Metric("copydesk_stage_seconds_total", "counter", ("lane", "stage"), "wall time of a stage in those batches", exact=False),
    Metric("copydesk_lock_seconds", "histogram", ("lane",), "time for which a batch held the writer lock of the store", exact=False),
    Metric("copydesk_watchdog_restarts_total", "counter", ("part",), "restarts by watchdogs: dispatcher, consumer or process", exact=False),
    Metric("copydesk_dead_letters", "gauge", ("code",), "open dead letters, by their first error"),
    Metric("copydesk_unlinked_articles", "gauge", (), "articles whose current version the linker has not processed"),
    Metric("copydesk_link_lag_seconds", "gauge", (), "waiting time of the oldest of those; 0: there is none"),
    Metric("copydesk_source_alarm", "gauge", ("kind", "source", "site"), "1 during an alarm; no site: all of the source; `*`: all sources"),
    Metric("copydesk_source_last_document_seconds", "gauge", ("source",), "time since its newest document with an outcome arrived"),
    Metric("copydesk_workers", "gauge", ("state",), "workers that sent a heartbeat in the last 10 seconds, by state"),
    Metric("copydesk_pool_processes", "gauge", ("state",), "pool processes of all workers: busy or idle"),
    Metric("copydesk_stalled_seconds", "gauge", ("worker",), "time since the worker last dispatched documents or found none"),
)  # fmt: skip


def documentation() -> str:
    """Return the list as a Markdown table."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.description} |"
        for metric in METRICS
    ]
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows, ""])
