"""The lease queue on a Redis Stream: the source of truth for every document until the store has committed it.

    added ──dispatch──▶ dispatched ──claim──▶ held by a worker ──settle──▶ gone
      ▲                    ▲  ▲                  │        │
      │                    │  └── give back ◀────┘        │ lease runs out
      └── XADD             └────────── reap ◀─────────────┘

Each arrow is one Lua script, so it happens whole or not at all, in one round trip. A pending entry belongs to the
consumer `dispatched` while a claim check for it is under way, and to a worker's own consumer while it is processed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import redis

GROUP = "copydesk"
DISPATCHED = "dispatched"


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What a lane handed out: `entries` are (id, bytes). `backlog` counts all entries, `pending` those handed out before."""

    backlog: int
    pending: int
    entries: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Claimed:
    """An entry under lease. `attempts`: how often one before ended in a death. Beyond the size limit, `truncated`."""

    id: str
    attempts: int
    size: int
    fields: dict[bytes, bytes]
    truncated: bool


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane at one moment; `added == settled + backlog` unless somebody else trimmed or deleted entries."""

    name: str
    added: int
    backlog: int
    pending: int
    oldest_id: str | None
    last_id: str
    outcomes: dict[str, int]

    @property
    def settled(self) -> int:
        return sum(self.outcomes.values())


class LeaseQueue:
    """The operations on one lane (a stream with the consumer group `copydesk`)."""

    def __init__(self, client: redis.Redis, lane: str) -> None:
        self.client = client
        self.lane = lane
        self.counters = f"copydesk:outcomes:{lane}"
        load = resources.files("worker.intake") / "lua"
        self._scripts = {
            name: client.register_script((load / f"{name}.lua").read_text("utf-8"))
            for name in ("dispatch", "claim", "settle", "give_back", "reap", "chunk", "readd", "clock", "suspect")
        }

    def ensure(self) -> None:
        """Create the stream and its group where they are missing. Safe to call at any time."""
        try:
            self.client.xgroup_create(self.lane, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def dispatch(self, *, most: int, pending_cap: int, most_bytes: int) -> Dispatched:
        """Hand out up to `most` new entries, without their payload, while fewer than `pending_cap` are pending."""
        reply = self._run("dispatch", GROUP, DISPATCHED, most, pending_cap, most_bytes)
        entries = tuple((_text(reply[n]), int(reply[n + 1])) for n in range(2, len(reply), 2))
        return Dispatched(int(reply[0]), int(reply[1]), entries)

    def claim(self, worker: str, ids: Sequence[str], *, lease_seconds: float, most_bytes: int) -> list[Claimed]:
        """Take the lease of `ids` and count an attempt; those settled, or held by a living worker, are left out."""
        reply = self._run("claim", GROUP, worker, DISPATCHED, int(lease_seconds * 1000), most_bytes, *ids)
        claimed = []
        for n in range(0, len(reply), 4):
            flat = reply[n + 3]
            fields = dict(zip(flat[::2], flat[1::2], strict=True))
            size = int(reply[n + 2])
            claimed.append(Claimed(_text(reply[n]), int(reply[n + 1]), size, fields, size > most_bytes))
        return claimed

    def keep(self, worker: str, ids: Sequence[str]) -> None:
        """Renew the lease and take back the attempt: from here on nothing is the document's fault."""
        if ids:
            self._run("give_back", GROUP, worker, worker, 0, *ids)

    def suspect(self, worker: str, ids: Sequence[str]) -> None:
        """Count the attempt again that `keep` took back: a document is read next."""
        if ids:
            self._run("suspect", GROUP, worker, *ids)

    def release(self, worker: str, ids: Sequence[str], *, lease_seconds: float, delay_seconds: float = 0) -> None:
        """Give the entries back, to be dispatched again after `delay_seconds` by whoever is alive."""
        if ids:
            idle = max(0, int((lease_seconds - delay_seconds) * 1000))
            self._run("give_back", GROUP, worker, DISPATCHED, idle, *ids)

    def settle(self, outcomes: Iterable[tuple[str, str]]) -> int:
        """Remove entries whose outcome is committed; returns how many of them were still there."""
        flat = [part for pair in outcomes for part in pair]
        return int(self._run("settle", GROUP, *flat, keys=[self.lane, self.counters])) if flat else 0

    def readd(self, id_: str) -> str | None:
        """Add an entry again under a fresh id, in place of `id_`; None when it is gone. Counted as `readded`."""
        fresh = self._run("readd", GROUP, id_, keys=[self.lane, self.counters])
        return _text(fresh) if fresh else None

    def reap(self, *, lease_seconds: float, most: int = 100) -> list[tuple[str, int]]:
        """Take entries whose lease ran out for dispatching again: (id, attempts that ended in a death)."""
        reply = self._run("reap", GROUP, DISPATCHED, int(lease_seconds * 1000), most)
        return [(_text(reply[n]), int(reply[n + 1])) for n in range(0, len(reply), 2)]

    def mind_the_clock(self) -> int:
        """Renew all leases when the server's clock went back; returns how many. To be called about every second."""
        return int(self._run("clock", GROUP, keys=[self.lane, f"copydesk:clock:{self.lane}"]))

    def digest(self, id_: str, field: bytes, size: int, *, chunk_bytes: int = 64 << 20) -> str:
        """SHA-256 of a field too large to be held in memory, read piece by piece (each is a copy of the whole on the server)."""
        digest = hashlib.sha256()
        for start in range(1, size + 1, chunk_bytes):
            piece = self._run("chunk", id_, field, start, start + chunk_bytes - 1)
            if not piece:
                break
            digest.update(piece)
        return digest.hexdigest()

    def state(self) -> LaneState:
        """The lane's figures, all from one moment."""
        with self.client.pipeline(transaction=True) as pipe:
            pipe.xinfo_stream(self.lane)
            pipe.xpending(self.lane, GROUP)
            pipe.hgetall(self.counters)
            info, pending, outcomes = pipe.execute()
        first = info["first-entry"]
        return LaneState(
            name=self.lane,
            added=int(info["entries-added"]),
            backlog=int(info["length"]),
            pending=int(pending["pending"]),
            oldest_id=_text(first[0]) if first else None,
            last_id=_text(info["last-generated-id"]),
            outcomes={_text(k): int(v) for k, v in outcomes.items()},
        )

    def advance(self, id_: str) -> bool:
        """Make the next id larger than `id_`: a server that lost its data must not hand out ids used before."""
        info = self.client.xinfo_stream(self.lane)
        if id_key(_text(info["last-generated-id"])) >= id_key(id_):
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


def id_key(id_: str) -> tuple[int, int]:
    """A stream id as (milliseconds, sequence), which orders it."""
    ms, _, seq = id_.partition("-")
    return int(ms), int(seq or 0)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
