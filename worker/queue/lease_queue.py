"""The lease queue on a Redis Stream: the source of truth for every document until the store has committed it.

    added ──dispatch──▶ dispatched ──claim──▶ held by a worker ──settle──▶ gone
      ▲                    ▲  ▲                  │        │
      │                    │  └── give back ◀────┘        │ lease runs out
      └── XADD             └────────── reap ◀─────────────┘

Each arrow is one Lua script, so it happens whole or not at all, in one round trip; those that lead to settlement run in a
server that is full (`allow-oom`), for nothing else makes room there. A pending entry belongs to the
consumer `dispatched` while a claim check for it is under way, and to a worker's own consumer while it is processed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Literal, NamedTuple

import redis

from schemas.envelope import FIELDS
from worker.queue import keys
from worker.queue.clock import Clock, local_clock, server_clock
from worker.queue.oversized import read_prefix

GROUP = "copydesk"
_ENTRY_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
DISPATCHED = "dispatched"
RETURNED = "returned"
"""Holds what was given back because the store could not be used, until it is dispatched again."""
_WHOLE_READINGS = 2
"""Attempts at an oversized entry that read it to its end, for its digest."""
MOST_DEATHS = 10_000
"""Documents of a lane of which evidence is kept; it is forgotten with their outcome."""
CRASHES_EXPIRE_SECONDS = 7 * 86_400
ORIGINAL_IDS_EXPIRE_SECONDS = 7 * 86_400
AHEAD_SECONDS = 86_400
"""An id this far in the future was chosen by a producer, not by the server."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What a lane handed out: `entries` are (id, bytes). `backlog` counts all entries, `pending` those handed out before."""

    backlog: int
    pending: int
    entries: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Claimed:
    """An entry under lease. `attempts`: how often one before ended in a death. `size`: bytes of all its fields.

    Beyond the size limit it is `truncated`: `fields` holds the beginning of each, `raw_size` and `sha256` tell of the
    whole `raw`.
    """

    id: str
    attempts: int
    size: int
    fields: dict[bytes, bytes]
    truncated: bool
    raw_size: int = 0
    sha256: bytes | None = None


Ids = Mapping[str, int] | Sequence[str]
"""Ids that a worker has claimed, with their attempts as the claim told them; as a sequence: none has died before."""


class Figures(NamedTuple):
    """A lane's size at one moment. `oldest_id` is None when there is no entry, or one too large to look at."""

    added: int
    backlog: int
    pending: int
    oldest_id: str | None


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane at one moment; `added == settled + backlog + aside` unless somebody else trimmed or deleted entries."""

    name: str
    added: int
    backlog: int
    pending: int
    oldest_id: str | None
    last_id: str
    outcomes: dict[str, int]
    aside: int = 0
    """Entries that an interrupted repair has yet to add again."""

    @property
    def settled(self) -> int:
        return sum(self.outcomes.values())


class LeaseQueue:
    """The operations on one lane (a stream with the consumer group `copydesk`)."""

    def __init__(self, client: redis.Redis, lane: str) -> None:
        self.client = client
        self.lane = lane
        self.counters = keys.outcomes(lane)
        self.oversized = keys.oversized(lane)
        self.deaths = keys.deaths(lane)
        """Evidence against documents that end processes, see `worker.queue.crashes`."""
        self.clock: Clock = local_clock
        """The server's time since the first `claim`."""
        self.aside = keys.aside(lane)
        """Where a repair keeps what it has not added again yet; there only while one was interrupted."""
        self._scripts = {
            name: client.register_script(script(name))
            for name in (
                "dispatch",
                "claim",
                "settle",
                "hold",
                "reap",
                "readd",
                "state",
                "last_id",
                "figures",
                "clock",
            )
        }

    def ensure(self) -> None:
        """Create the stream and its group where they are missing. Safe to call at any time."""
        try:
            self.client.xgroup_create(self.lane, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def dispatch(self, *, most: int, pending_cap: int, most_bytes: int,
                 wait_for: Literal["", "half", "full"] = "") -> Dispatched:  # fmt: skip
        """Hand out up to `most` new entries, without their payload, while fewer than `pending_cap` are pending.

        `wait_for`: nothing is handed out if it is less than `half` of `most` for want of room, or (`full`) less than `most`
        while something handed out before has not been taken up.
        """
        names = [self.lane, self.oversized]
        reply = self._run("dispatch", GROUP, DISPATCHED, most, pending_cap, most_bytes, wait_for, keys=names)
        entries = tuple((_text(reply[n]), int(reply[n + 1])) for n in range(2, len(reply), 2))
        return Dispatched(int(reply[0]), int(reply[1]), entries)

    def claim(self, worker: str, ids: Sequence[str], *, lease_seconds: float, most_bytes: int) -> list[Claimed]:
        """Take the lease of `ids` and count an attempt; those settled, or held by a living worker, are left out.

        Afterwards `clock` shows the server's time.
        """
        if not ids:
            return []
        lease = int(lease_seconds * 1000)
        reply = self._run("claim", GROUP, worker, DISPATCHED, lease, most_bytes, *ids, keys=[self.lane, self.oversized])
        self.clock = server_clock(int(reply[0]))
        claimed = []
        for n in range(1, len(reply), 4):
            id_, attempts, size, flat = _text(reply[n]), int(reply[n + 1]), int(reply[n + 2]), reply[n + 3]
            if size > most_bytes:
                claimed.append(self._claimed_oversized(id_, attempts, size))
            else:
                fields = dict(zip(flat[::2], flat[1::2], strict=True))
                claimed.append(Claimed(id_, attempts, size, fields, truncated=False))
        return claimed

    def _claimed_oversized(self, id_: str, attempts: int, size: int) -> Claimed:
        # Should reading it to its end have ended processes, its beginning has to do.
        start = read_prefix(self.client, self.lane, id_, wanted=FIELDS, whole=attempts < _WHOLE_READINGS)
        return Claimed(id_, attempts, size, start.fields, True, start.raw_size, start.sha256)

    def keep(self, worker: str, ids: Ids) -> None:
        """Renew the lease and take back the attempt: from here on nothing is the document's fault."""
        self._hold(worker, ids, owner=worker)

    def begin_attempt(self, worker: str, ids: Ids) -> None:
        """Count the attempt again that `keep` took back: a document is read next."""
        self._hold(worker, ids, owner=worker, attempt=1)

    def release(self, worker: str, ids: Ids, *, lease_seconds: float, delay_seconds: float = 0,
                whole: bool = False) -> None:  # fmt: skip
        """Give the entries back, to be dispatched again after `delay_seconds` by whoever is alive.

        `whole`: their batch was not too large, so that they may travel in as large ones.
        """
        idle = max(0, int((lease_seconds - delay_seconds) * 1000))
        self._hold(worker, ids, owner=RETURNED if whole else DISPATCHED, idle=idle)

    def _hold(self, worker: str, ids: Ids, *, owner: str, idle: int = 0, attempt: int = 0) -> None:
        deaths = ids if isinstance(ids, Mapping) else dict.fromkeys(ids, 0)
        # The first delivery is that to the dispatcher.
        counts = [part for id_, died in deaths.items() for part in (id_, died + 1 + attempt)]
        if counts:
            self._run("hold", GROUP, worker, owner, idle, *counts)

    def settle(self, outcomes: Iterable[tuple[str, str]]) -> list[str]:
        """Remove entries whose outcome is committed; returns those that were still there: nobody else settled them."""
        flat = [part for pair in outcomes for part in pair]
        names = [self.lane, self.counters, self.oversized]
        return list(map(_text, self._run("settle", GROUP, *flat, keys=names))) if flat else []

    def requeue(self, id_: str) -> str | None:
        """Add an entry again under a fresh id, in place of `id_`; None when it is gone. Counted as `readded`."""
        names = [self.lane, self.counters, self.oversized, keys.readded(self.lane)]
        fresh = self._run("readd", GROUP, id_, ORIGINAL_IDS_EXPIRE_SECONDS, keys=names)
        return _text(fresh) if fresh else None

    def reap(self, *, lease_seconds: float, most: int = 100, whole: bool = False) -> list[tuple[str, int]]:
        """Take entries whose lease ran out for dispatching again: (id, attempts that ended in a death).

        `whole`: only those that were released as such, else the others too.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        arguments = (GROUP, DISPATCHED, int(lease_seconds * 1000), most, now, MOST_DEATHS, CRASHES_EXPIRE_SECONDS,
                     *((RETURNED,) if whole else ()))  # fmt: skip
        reply = self._run("reap", *arguments, keys=[self.lane, self.deaths])
        return [(_text(reply[n]), int(reply[n + 1])) for n in range(0, len(reply), 2)]

    def mind_the_clock(self) -> int:
        """Renew all leases when the server's clock went back; returns how many. To be called about every second."""
        return int(self._run("clock", GROUP, keys=[self.lane, keys.clock(self.lane)]))

    def state(self) -> LaneState:
        """The lane's figures, all from one moment. For people: with a giant at either end it takes the server a second."""
        names = [self.lane, self.counters, self.aside]
        added, backlog, pending, last, oldest, flat, aside = self._run("state", GROUP, keys=names)
        return LaneState(
            name=self.lane,
            added=int(added),
            backlog=int(backlog),
            pending=int(pending),
            oldest_id=_text(oldest) if oldest else None,
            last_id=_text(last),
            outcomes={_text(name): int(count) for name, count in zip(flat[::2], flat[1::2], strict=True)},
            aside=int(aside),
        )

    def figures(self) -> Figures:
        """What `state` tells without its last id and outcomes, and cheap whatever is on the lane."""
        added, backlog, pending, oldest = self._run("figures", GROUP, keys=[self.lane, self.oversized])
        return Figures(int(added), int(backlog), int(pending), _text(oldest) if oldest else None)

    def advance(self, id_: str) -> bool:
        """Make the next id larger than `id_`: a server that lost its data must not hand out ids used before."""
        if id_key(_text(self._run("last_id", keys.PROBE_GROUP))) >= id_key(id_):
            return False
        self.client.execute_command("XSETID", self.lane, id_)  # type: ignore[no-untyped-call]  # redis-py has no xsetid
        return True

    def forget_idle_workers(self, *, idle_seconds: float = 3600) -> int:
        """Delete consumers of processes that are long gone and hold nothing."""
        gone = 0
        for consumer in self.client.xinfo_consumers(self.lane, GROUP):
            if consumer["pending"] == 0 and consumer["idle"] > idle_seconds * 1000:
                self.client.xgroup_delconsumer(self.lane, GROUP, consumer["name"])
                gone += 1
        return gone

    def _run(self, script: str, *args: Any, keys: list[str] | None = None) -> Any:
        return self._scripts[script](keys=keys or [self.lane], args=args)


def script(name: str) -> str:
    """The text of a script in `lua/`, with the functions of `fields.lua` after its first line."""
    folder = resources.files("worker.queue") / "lua"
    first, _, rest = (folder / f"{name}.lua").read_text("utf-8").partition("\n")
    return "\n".join((first, (folder / "fields.lua").read_text("utf-8"), rest))


def first_ids(client: redis.Redis, lane: str, ids: Sequence[str]) -> dict[str, str]:
    """Of those of `ids` that were added again: the ids that their producers know. Raises redis.RedisError."""
    found: Any = client.hmget(keys.readded(lane), ids) if ids else []
    return {id_: _text(first) for id_, first in zip(ids, found, strict=True) if first is not None}


def is_entry_id(text: str) -> bool:
    """Whether Redis takes `text` as the id of an entry: two numbers of 64 bits, `1700000000000-0`."""
    parts = _ENTRY_ID.fullmatch(text)
    return parts is not None and max(int(parts[1]), int(parts[2])) < 1 << 64


def id_key(id_: str) -> tuple[int, int]:
    """A stream id as (milliseconds, sequence), which orders it."""
    ms, _, seq = id_.partition("-")
    return int(ms), int(seq or 0)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
