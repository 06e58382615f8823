"""The status snapshot as data. The names of the fields are the names in the output of `copydesk status --json`.

`snapshot.py` reads it, `snapshot_poller.py` reads it again and again; alarms, the command `status` and the console show it.
Times are in seconds, sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from worker.monitoring.servers.redis_info import RedisInfo
from worker.monitoring.source_pauses import SourcePauseStatus
from worker.monitoring.sources.alarm import SourceAlarm, merged
from worker.telemetry.durations import duration_text


@dataclass(frozen=True, slots=True)
class PauseStatus:
    """Who paused a lane, why, and how long ago. `by` is `operator` or `breaker`."""

    who: str
    why: str
    by: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """A lane at one moment: added = settled + backlog + missing + aside, always."""

    lane: str
    added: int
    settled: int
    backlog: int
    pending: int
    """Entries of the backlog that are dispatched or being processed."""
    oldest_seconds: float | None
    """The age of the oldest entry that is not of a paused source."""
    outcomes: Mapping[str, int]
    missing: int
    """Entries that others trimmed or deleted; negative after the lane was lost or restored."""
    aside: int
    """Entries that an interrupted repair must still add again."""
    fault: str | None
    """`blocked` if nothing can be added any more, `ahead` if new ids are in the future, `wrong_type` if a key of the lane
    holds something else: then nothing else is known of it.
    """
    rate: float
    """Documents a second that got an outcome lately; `in_rate`: that were added."""
    in_rate: float
    lately_settled: int
    """Documents that got an outcome in this minute and the one before."""
    drain_seconds: float | None
    """When the backlog, without the entries of paused sources, is empty at these rates; None if it does not shrink."""
    paused: PauseStatus | None
    paused_sources: tuple[SourcePauseStatus, ...] = ()
    wrong_keys: tuple[str, ...] = ()
    """What the keys of another type hold, as sentences."""

    @property
    def waiting(self) -> int:
        """The backlog without the entries of paused sources."""
        return max(0, self.backlog - sum(one.documents for one in self.paused_sources))


@dataclass(frozen=True, slots=True)
class LaneSums:
    """The sums of all lanes for producers."""

    added: int
    settled: int
    backlog: int
    missing: int


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A pool process. `lane` is None while it is idle."""

    pid: int
    lane: str | None
    documents: int
    busy_seconds: float | None


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A running worker, as its last heartbeat reports it."""

    worker: str
    state: str
    for_seconds: float | None
    reason: str
    version: str
    up_seconds: float | None
    lanes: tuple[str, ...]
    silent_seconds: float | None
    """The age of its last heartbeat."""
    pool: tuple[ProcessStatus, ...]


@dataclass(frozen=True, slots=True)
class SilentWorker:
    """A worker that sends no heartbeats any more and did not stop properly."""

    worker: str
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class RejectedCount:
    """How many documents of a source were rejected, by the code of their first error."""

    code: str
    source: str
    documents: int


@dataclass(frozen=True, slots=True)
class PeriodCounts:
    """The documents of the last `seconds`. `sources`: source → outcome → documents."""

    seconds: int
    added: int
    settled: int
    rate: float
    outcomes: Mapping[str, int]
    sources: Mapping[str, Mapping[str, int]]
    rejected: tuple[RejectedCount, ...]

    @property
    def ranked_sources(self) -> list[tuple[str, Mapping[str, int]]]:
        """The sources, the most rejected first."""
        return sorted(self.sources.items(), key=lambda one: (-one[1].get("rejected", 0), -sum(one[1].values()), one[0]))


@dataclass(frozen=True, slots=True)
class RecentCounts:
    """The last one to two minutes, the last hour and the last day."""

    minute: PeriodCounts
    hour: PeriodCounts
    day: PeriodCounts


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """Everything that is read from Redis, except the server's own state."""

    lanes: tuple[LaneStatus, ...]
    internal: LaneStatus
    """Replays, reprocessing and messages kept from Celery's queue; counted apart from what producers submitted."""
    sum: LaneSums
    outcomes: Mapping[str, int]
    workers: tuple[WorkerStatus, ...]
    missed: tuple[SilentWorker, ...]
    recent: RecentCounts
    rejecting: tuple[SourceAlarm, ...] = ()
    """Sources of whose newest documents too many are rejected, by the counters of the last minutes."""
    unreadable: tuple[str, ...] = ()
    """The keys of counters of the last day that hold something else: their documents are missing in `recent`."""

    @property
    def outcomes_by_period(self) -> list[tuple[str, Mapping[str, int]]]:
        """(label, outcome → documents) of the last minutes, hour and day, and since the lanes exist."""
        minute, hour, day = self.recent.minute, self.recent.hour, self.recent.day
        return [
            (f"{minute.seconds} s", minute.outcomes),
            ("hour", hour.outcomes),
            ("day", day.outcomes),
            ("ever", self.outcomes),
        ]

    @property
    def is_drained(self) -> bool:
        """Whether no entry is pending, and none waits but on paused lanes and of paused sources."""
        return not self.internal.pending and all(
            not lane.pending and (lane.paused is not None or not lane.waiting) for lane in self.lanes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """A server that cannot be read, and why."""

    ok: Literal[False] = False
    error: str

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent(Unreachable):
    """A server that accepts what is sent and gives no answer: it hangs, or the network is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReply(Unreachable):
    """A server that answers with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseStatus:
    """The database server. `ms`: how long connecting took, in milliseconds."""

    ok: Literal[True] = True
    ms: float
    server: str
    schema: str | None
    needs_schema: str
    used_bytes: int

    @property
    def has_needed_schema(self) -> bool:
        return self.schema == self.needs_schema


@dataclass(frozen=True, slots=True)
class WorkStatus:
    """Background work because a reference document changed or a URL was retracted."""

    kind: str
    subject: int | None
    done: int
    total: int


_LATE_LINK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LinkingStatus:
    """What the linker has to do. `oldest_seconds`: the age of the oldest pending article.

    `is_enabled`: the setting COPYDESK_LINK of this process.
    """

    is_enabled: bool
    pending: int
    oldest_seconds: float | None
    provisional: int
    """Articles that are linked, and are linked again when arrivals pause."""
    outdated: int = 0
    """Articles whose links are of an older rule, and are computed again when no other article waits (`copydesk relink`)."""

    @property
    def fault(self) -> str | None:
        """Why somebody should look, or None."""
        if not self.is_enabled or (self.oldest_seconds or 0) <= _LATE_LINK_SECONDS:
            return None
        return (
            f"{self.pending:,} articles wait for the linker, the oldest for {duration_text(self.oldest_seconds or 0)}: "
            "see the log of the worker beside which it runs"
        )


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """Everything that is read from the database; the counts are empty if it is unreachable."""

    dead_letters: Mapping[str, int]
    """Code → open dead letters, the most frequent first."""
    store: Mapping[str, int]
    """Table → rows."""
    behind: int
    """Articles that were written by an older pipeline."""
    enriching: tuple[WorkStatus, ...]
    database: DatabaseStatus | Unreachable
    linking: LinkingStatus | None = None
    """None if the database is unreachable."""
    source_alarms: tuple[SourceAlarm, ...] = ()
    """Sources that are silent, send far less than they should, or send too much that is rejected."""
    last_receipt_at: float | None = None
    """When the last document got its outcome, in seconds since 1970; None if none has."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the system. A part is None if it was not read (yet); `queue` also if Redis is unreachable."""

    queue: QueueStatus | None = None
    redis: RedisInfo | Unreachable | None = None
    store: StoreStatus | None = None

    @property
    def servers(self) -> dict[str, RedisInfo | DatabaseStatus | Unreachable]:
        """`redis` and `database`, without one that was not read yet."""
        servers = {"redis": self.redis, "database": self.store.database if self.store else None}
        return {name: server for name, server in servers.items() if server is not None}

    @property
    def source_alarms(self) -> list[SourceAlarm]:
        """The alarms of sources, from the store and from the last minutes."""
        return merged(self.store.source_alarms if self.store else (), self.queue.rejecting if self.queue else ())

    def to_json(self) -> dict[str, object]:
        """Return the object that `copydesk status --json` prints; parts that were not read are left out."""
        store = asdict(self.store) if self.store else {}
        queue = asdict(self.queue) if self.queue else {}
        for name in ("rejecting", "unreadable"):
            queue.pop(name, None)
        for name in ("linking", "last_receipt_at"):
            if store.get(name) is None:
                store.pop(name, None)
        return {
            **queue,
            **({"redis": self.redis.to_json()} if self.redis else {}),
            **store,
            "source_alarms": [alarm.to_json() for alarm in self.source_alarms],
        }
