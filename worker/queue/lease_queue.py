"""The lease queue on a Redis Stream: the source of truth for every document until the store has committed it.

    added ──dispatch──▶ dispatched ──claim──▶ held by a worker ──settle──▶ gone
      ▲                    ▲  ▲                  │        │
      │                    │  └── give back ◀────┘        │ lease expires
      └── XADD             └────────── reap ◀─────────────┘

Each arrow except XADD is one Lua script: it is atomic and takes one round trip. The scripts on the way to settlement
run even when the server is out of memory (`allow-oom`), because only settling frees memory. A pending entry belongs to
the consumer `dispatched` while its claim check is in Celery's queue, and to a worker's own consumer while it is
processed. An entry of a paused source belongs to the consumer of that source (see `source_pauses.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Literal

import redis

from schemas.envelope import FIELDS
from worker.queue import keys
from worker.queue.clock import AHEAD_SECONDS, Clock, local_clock, server_clock
from worker.queue.lane_counts import LaneCounts, LaneState
from worker.queue.oversized import read_prefix
from worker.queue.replies import count_in, text

GROUP = "copydesk"
_SCRIPTS = (
    "dispatch",
    "claim",
    "hold",
    "reap",
    "settle",
    "requeue",
    "renew_leases",
    "state",
    "counts",
    "last_id",
    "newest",
)
_ENTRY_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
_MS = re.compile(r"[0-9]{1,14}")
DISPATCHED = "dispatched"
RETURNED = "returned"
"""The consumer that owns entries given back because the store could not be used, until they are dispatched again."""
PAUSED_LANE = "paused: "
"""The consumer that owns entries that came back while their lane was paused, until `dispatch` sends them again."""
_WHOLE_READINGS = 2
"""How many attempts at an oversized entry read all of it, to compute its digest. Later ones read only the beginning."""
MAX_CRASH_REPORTS = 10_000
"""For how many documents of a lane crash reports are kept. They are deleted when the documents have their outcome."""
CRASHES_EXPIRE_SECONDS = 7 * 86_400
ORIGINAL_IDS_EXPIRE_SECONDS = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Dispatched:
    """The result of `dispatch`: `entries` are (id, bytes).

    `backlog` counts all entries of the lane. `pending` counts those that were dispatched before this call and not
    settled.
    """

    backlog: int
    pending: int
    entries: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Claimed:
    """An entry whose lease the caller holds. `attempts` counts earlier attempts that ended in a crash.

    `size` is the bytes of all its fields, and 16 for each name and each value (`bytes_of` in `lua/prelude.lua`). An entry
    beyond the size limit is `truncated`: `fields` holds the beginning of each field, and `raw_size` and `sha256` are those
    of the whole `raw`. (After two crashes `sha256` covers only the part that was read.) `original_id`: the id that its
    producer received, if the entry was added again under another one.
    `order_id`: the id by which its version is ordered, if that is another one than `id`; `arrived_ms`: when it arrived, in
    milliseconds since 1970, if the id by which it is ordered does not tell.
    """

    id: str
    attempts: int
    size: int
    fields: dict[bytes, bytes]
    truncated: bool
    raw_size: int = 0
    sha256: bytes | None = None
    original_id: str | None = None
    order_id: str | None = None
    arrived_ms: int | None = None


Ids = Mapping[str, int] | Sequence[str]
"""Ids that a worker has claimed → the `attempts` that `claim` returned; a sequence means 0 attempts for each."""


class LeaseQueue:
    """The operations on one lane (a stream with the consumer group `copydesk`)."""

    def __init__(self, client: redis.Redis, lane: str) -> None:
        self.client = client
        self.lane = lane
        self.counters = keys.outcomes(lane)
        self.oversized = keys.oversized(lane)
        self.paused_sources = keys.paused_sources(lane)
        """The hash of the lane's paused sources; see `worker.queue.pauses.source_pauses`."""
        self.crash_reports = keys.crash_reports(lane)
        """The hash of crash reports; see `worker.queue.crashes`."""
        self.clock: Clock = local_clock
        """Shows the server's time after the first `claim`, and this process's time before."""
        self.aside = keys.aside(lane)
        """The stream of entries that a repair must still add again; it exists only after an interrupted repair."""
        self._scripts = {name: client.register_script(script(name)) for name in _SCRIPTS}

    def ensure(self) -> None:
        """Create the stream and its consumer group unless they exist. Safe to call at any time."""
        try:
            self.client.xgroup_create(self.lane, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def dispatch(
        self, *, limit: int, pending_cap: int, max_bytes: int, wait_for: Literal["", "half", "full"] = ""
    ) -> Dispatched:
        """Dispatch up to `limit` new entries, while fewer than `pending_cap` are pending; return their ids and sizes.

        The call also stops after `max_bytes`. `wait_for` avoids small batches. With `half` or `full`, nothing is
        dispatched if the pending cap leaves capacity for less than half of a batch while more entries wait. With
        `full`, nothing less than a full batch is dispatched while an earlier claim check still waits for a worker. A
        full batch is the smaller of `limit` and `pending_cap`. Entries of paused sources are passed over.
        """
        names = [self.lane, self.oversized, self.paused_sources, keys.order_ids(self.lane), keys.NEWEST]
        arguments = (GROUP, DISPATCHED, limit, pending_cap, max_bytes, wait_for, RETURNED)
        reply = self._run("dispatch", *arguments, keys=names)
        entries = tuple((text(reply[n]), int(reply[n + 1])) for n in range(2, len(reply), 2))
        return Dispatched(int(reply[0]), int(reply[1]), entries)

    def claim(self, worker: str, ids: Sequence[str], *, lease_seconds: float, max_bytes: int) -> list[Claimed]:
        """Start the lease of `ids` for the consumer `worker`, count an attempt for each, and return their content.

        Entries that are settled, that another worker holds under a valid lease, or whose source was paused, are left
        out. Of an entry larger than `max_bytes` only the beginning is returned. Sets `clock` to the server's time. Raises
        redis.RedisError.
        """
        if not ids:
            return []
        lease = int(lease_seconds * 1000)
        names = [self.lane, self.oversized, self.paused_sources, keys.original_ids(self.lane)]
        names.append(keys.order_ids(self.lane))
        reply = self._run("claim", GROUP, worker, DISPATCHED, lease, max_bytes, *ids, keys=names)
        self.clock = server_clock(int(reply[0]))
        claimed = []
        for n in range(1, len(reply), 6):
            id_, attempts, size, flat = text(reply[n]), int(reply[n + 1]), int(reply[n + 2]), reply[n + 3]
            original = text(reply[n + 4], "replace")
            places = (original if is_entry_id(original) else None, *order_of(reply[n + 5]))
            if size > max_bytes:
                claimed.append(self._claimed_oversized(id_, attempts, size, places))
            else:
                fields = dict(zip(flat[::2], flat[1::2], strict=True))
                claimed.append(Claimed(id_, attempts, size, fields, False, 0, None, *places))
        return claimed

    def _claimed_oversized(
        self, id_: str, attempts: int, size: int, places: tuple[str | None, str | None, int | None]
    ) -> Claimed:
        # After two crashes, which reading all of it may have caused, only the beginning is read.
        start = read_prefix(self.client, self.lane, id_, fields=FIELDS, whole=attempts < _WHOLE_READINGS)
        return Claimed(id_, attempts, size, start.fields, True, start.raw_size, start.sha256, *places)

    def end_attempt(self, worker: str, ids: Ids) -> None:
        """Renew the lease and stop counting the attempt, because a crash from here on is not the document's fault.

        `ids` must carry the attempts that `claim` returned.
        """
        self._hold(worker, ids, owner=worker)

    def begin_attempt(self, worker: str, ids: Ids) -> None:
        """Renew the lease and count the attempt that `end_attempt` stopped counting, because documents are read next."""
        self._hold(worker, ids, owner=worker, attempt=1)

    def release(
        self, worker: str, ids: Ids, *, lease_seconds: float, delay_seconds: float = 0, whole: bool = False
    ) -> None:
        """Give entries back before their lease ends, without counting the attempt.

        The reaper takes them after `delay_seconds`. `whole` means that the batch's size was not the problem: the
        entries are dispatched again in batches of full size.
        """
        idle = max(0, int((lease_seconds - delay_seconds) * 1000))
        self._hold(worker, ids, owner=RETURNED if whole else DISPATCHED, idle=idle)

    def _hold(self, worker: str, ids: Ids, *, owner: str, idle: int = 0, attempt: int = 0) -> None:
        attempts_of = ids if isinstance(ids, Mapping) else dict.fromkeys(ids, 0)
        # Plus 1, because the first delivery is the one to the dispatcher.
        counts = [part for id_, attempts in attempts_of.items() for part in (id_, attempts + 1 + attempt)]
        if counts:
            self._run("hold", GROUP, worker, owner, idle, *counts)

    def settle(self, outcomes: Iterable[tuple[str, str]]) -> list[str]:
        """Acknowledge and delete entries whose outcome is committed, and count each outcome once.

        `outcomes` are (id, outcome). Returns the ids that this call removed; another call settled the others before.
        """
        flat = [part for pair in outcomes for part in pair]
        names = [self.lane, self.counters, self.oversized, keys.store_timeouts(self.lane)]
        names.append(keys.order_ids(self.lane))
        return list(map(text, self._run("settle", GROUP, *flat, keys=names))) if flat else []

    def requeue(self, id_: str) -> str | None:
        """Replace entry `id_` by a copy with a new id; return that id, or None when the entry is gone.

        The old entry is counted as `readded`.
        """
        names = [self.lane, self.counters, self.oversized, keys.original_ids(self.lane), keys.order_ids(self.lane)]
        fresh = self._run("requeue", GROUP, id_, ORIGINAL_IDS_EXPIRE_SECONDS, keys=names)
        return text(fresh) if fresh else None

    def reap(
        self, *, lease_seconds: float, limit: int = 100, whole: bool = False, paused: bool = False
    ) -> list[tuple[str, int]]:
        """Take up to `limit` entries whose lease has expired, to dispatch them again.

        Returns (id, attempts so far) of each. `whole` takes only entries that were released with `whole`; otherwise
        entries of all consumers are taken. With `paused` they must not be sent: they wait until `dispatch` is called.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        arguments = (
            GROUP,
            PAUSED_LANE if paused else DISPATCHED,
            int(lease_seconds * 1000),
            limit,
            now,
            MAX_CRASH_REPORTS,
            CRASHES_EXPIRE_SECONDS,
            DISPATCHED,
            RETURNED,
            *((RETURNED,) if whole else ()),
        )
        reply = self._run("reap", *arguments, keys=[self.lane, self.crash_reports])
        return [(text(reply[n]), int(reply[n + 1])) for n in range(0, len(reply), 2)]

    def renew_leases_after_clock_step(self) -> int:
        """Renew all leases if the server's clock was set back; return how many. Call it about every second."""
        return int(self._run("renew_leases", GROUP, keys=[self.lane, keys.clock(self.lane)]))

    def state(self) -> LaneState:
        """Return the lane's state at one moment.

        Use it for commands, not in a loop: an oversized first or last entry makes the server take a second.
        """
        names = [self.lane, self.counters, self.aside, self.paused_sources, keys.order_ids(self.lane)]
        added, backlog, pending, last, oldest, flat, aside, paused = self._run("state", GROUP, keys=names)
        return LaneState(
            name=self.lane,
            added=int(added),
            backlog=int(backlog),
            pending=int(pending),
            oldest_id=text(oldest) if oldest else None,
            last_id=text(last),
            outcomes=_counted(flat),
            aside=int(aside),
            paused=_counted(paused),
        )

    def counts(self) -> LaneCounts:
        """Return the counts of `state` without the last id and the outcomes. Cheap even with oversized entries."""
        names = [self.lane, self.oversized, self.paused_sources, keys.order_ids(self.lane)]
        added, backlog, pending, oldest, paused = self._run("counts", GROUP, keys=names)
        return LaneCounts(int(added), int(backlog), int(pending), text(oldest) if oldest else None, _counted(paused))

    def advance(self, id_: str) -> bool:
        """Raise the stream's last id to `id_`, so that a server that lost data does not use old ids again.

        Returns False when the last id is not smaller, or `id_` is ahead of time. New versions of documents are ordered
        after `id_` in any case. Raises redis.RedisError.
        """
        self._run("newest", id_, keys=[keys.NEWEST])
        if id_key(id_)[0] >= (self.client.time()[0] + AHEAD_SECONDS) * 1000:
            return False
        if id_key(text(self._run("last_id", keys.PROBE_GROUP))) >= id_key(id_):
            return False
        self.client.execute_command("XSETID", self.lane, id_)  # type: ignore[no-untyped-call]  # redis-py has no xsetid
        return True

    def forget_idle_workers(self, *, idle_seconds: float = 3600) -> int:
        """Delete consumers that hold no entry and have been idle for `idle_seconds`; return how many."""
        deleted = 0
        for consumer in self.client.xinfo_consumers(self.lane, GROUP):
            if consumer["pending"] == 0 and consumer["idle"] > idle_seconds * 1000:
                self.client.xgroup_delconsumer(self.lane, GROUP, consumer["name"])
                deleted += 1
        return deleted

    def _run(self, script: str, *args: str | int, keys: list[str] | None = None) -> Any:
        return self._scripts[script](keys=keys or [self.lane], args=args)


def _counted(flat: Sequence[bytes | int]) -> dict[str, int]:
    """Return the counts in a flat list of names and numbers, without those that are no numbers."""
    counts = {text(name, "replace"): count_in(count) for name, count in zip(flat[::2], flat[1::2], strict=True)}  # type: ignore[arg-type]
    return {name: count for name, count in counts.items() if count is not None}


def script(name: str) -> str:
    """Return the text of a script in `lua/`, with AHEAD_MS and the functions of `prelude.lua` after its first line."""
    folder = resources.files("worker.queue") / "lua"
    first, _, rest = (folder / f"{name}.lua").read_text("utf-8").partition("\n")
    constants = f"local AHEAD_MS = {AHEAD_SECONDS * 1000}"
    return "\n".join((first, constants, (folder / "prelude.lua").read_text("utf-8"), rest))


def is_entry_id(id_: str) -> bool:
    """Whether Redis accepts `id_` as the id of an entry: two numbers of 64 bits, like `1700000000000-0`."""
    match = _ENTRY_ID.fullmatch(id_)
    return match is not None and max(int(match[1]), int(match[2])) < 1 << 64


def order_of(value: bytes | str) -> tuple[str | None, int | None]:
    """Return what a value of `keys.order_ids` says: the id, and when the entry arrived, if that is in it.

    Another program may have written the value: then it says nothing.
    """
    id_, _, arrived = text(value, "replace").partition(" ")
    if not is_entry_id(id_):
        return None, None
    return id_, int(arrived) if _MS.fullmatch(arrived) else None


def id_key(id_: str) -> tuple[int, int]:
    """Return a stream id as (milliseconds, sequence), which sorts in the order of the stream."""
    ms, _, seq = id_.partition("-")
    return int(ms), int(seq or 0)
