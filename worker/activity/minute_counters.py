"""Counters by minute in Redis, which `status`, `tail`, the metrics and the circuit breaker read.

They are approximate on purpose: a worker that crashes after it settled a batch and before it counted it leaves a gap
here, never in the outcomes. Each minute has one hash, `copydesk:tally:<minute since 1970>`. The number of its fields is
limited, whatever source names crawlers invent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import redis
from redis.client import Pipeline

from worker.queue import keys

OTHER = "(other)"
"""Counts all sources for which a minute's hash has no field left."""

WAIT_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600, 14_400)
"""Upper bounds of the histogram of waits, in seconds. Longer waits are counted in one more bucket after these."""

LOCK_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5)
"""Upper bounds of the histogram of times under the writer lock, in seconds."""

_EXPIRE_SECONDS = 25 * 3600
_MAX_FIELDS = 500
_MAX_SOURCE = 64  # characters; longer names are cut
_SEPARATOR = "\x1f"

# The server's clock decides which minute it is, because the workers' clocks differ.
_MINUTE = """
local key = KEYS[1] .. string.format('%d', math.floor(redis.call('TIME')[1] / 60))
"""
# KEYS: the prefix of a minute's hash. ARGV: expiry in seconds, limit of fields, then field, replacement field if the
# hash is full, number, …
_ADD = f"""{_MINUTE}
for i = 3, #ARGV, 3 do
  local name = ARGV[i]
  if redis.call('HEXISTS', key, name) == 0 and redis.call('HLEN', key) >= tonumber(ARGV[2]) then
    name = ARGV[i + 1]
  end
  redis.call('HINCRBY', key, name, ARGV[i + 2])
end
redis.call('EXPIRE', key, ARGV[1])
"""
# KEYS: the same. ARGV: expiry in seconds, then field, number, …
_SAMPLE = f"""{_MINUTE}
redis.call('HSET', key, unpack(ARGV, 2))
redis.call('EXPIRE', key, ARGV[1])
"""


@dataclass(slots=True)
class Counts:
    """The counts of one batch of a lane.

    The keys of `outcomes` are (source, outcome). Those of `codes` are (source, code of the first error).
    """

    lane: str
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    work_ms: float = 0
    """Wall time of the batch in its process, in milliseconds."""
    stages_ms: dict[str, float] = field(default_factory=dict)
    """Stage → its part of that time, in milliseconds."""
    deaths: int = 0
    """Documents that a process was reading when it crashed."""
    waits: list[float] = field(default_factory=list)
    """For each document the seconds from its arrival on the lane to its outcome."""


@dataclass(slots=True)
class Minute:
    """The counts of all workers in one minute.

    Keys are (lane, source, outcome), (lane, source, code), (lane, stage), or the lane alone.
    """

    at: int
    """When the minute begins, in seconds since 1970."""
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    codes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    batches: Counter[str] = field(default_factory=Counter)
    work_ms: Counter[str] = field(default_factory=Counter)
    stages_ms: Counter[tuple[str, str]] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    waits: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(lane, index of the first bound in WAIT_BOUNDS that is not exceeded) → documents."""
    waited_ms: Counter[str] = field(default_factory=Counter)
    locks: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(lane, index of the first bound in LOCK_BOUNDS that is not exceeded) → batches. The sum of the times is the stage
    `lock` of `stages_ms`.
    """
    restarts: Counter[str] = field(default_factory=Counter)
    """Part of a worker → how often the watchdog restarted it."""
    added: dict[str, int] = field(default_factory=dict)
    """Entries ever added to the lane, last sampled in this minute. The difference of two minutes is the intake."""

    def documents(self, lane: str | None = None) -> int:
        """Return how many documents got an outcome, on one lane or on all."""
        return sum(count for (on, _, _), count in self.outcomes.items() if lane in (None, on))


class MinuteCounters:
    """Writes and reads the counters by minute."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def add(self, counts: Counts, pipe: Pipeline | None = None) -> None:
        """Count a batch. If `pipe` is given, its owner executes the command. Otherwise an error of Redis is ignored."""
        lane, rows = counts.lane, list[tuple[str, str, int]]()
        for kind, by_source in (("o", counts.outcomes), ("c", counts.codes)):
            for (source, name), count in by_source.items():
                rows.append((_field(kind, lane, _short(source), name), _field(kind, lane, OTHER, name), count))
        single = (("b", int(bool(counts.outcomes))), ("w", round(counts.work_ms)), ("d", counts.deaths))
        rows += [(_field(kind, lane), _field(kind, lane), count) for kind, count in single if count]
        waits = Counter(bisect_left(WAIT_BOUNDS, waited) for waited in counts.waits)
        rows += [(_field("l", lane, str(place)),) * 2 + (count,) for place, count in waits.items()]
        if waited := round(sum(counts.waits) * 1000):
            rows.append((_field("t", lane), _field("t", lane), waited))
        for stage, spent in counts.stages_ms.items():
            rows.append((_field("s", lane, stage), _field("s", lane, stage), round(spent)))
        if "lock" in counts.stages_ms:
            place = str(bisect_left(LOCK_BOUNDS, counts.stages_ms["lock"] / 1000))
            rows.append((_field("k", lane, place), _field("k", lane, place), 1))
        if rows:
            flat = [part for row in rows for part in row]
            self._eval(pipe, _ADD, _EXPIRE_SECONDS, _MAX_FIELDS, *flat)

    def restarted(self, part: str) -> None:
        """Count a restart of a part of a worker by the watchdog. An error of Redis is ignored."""
        name = _field("r", part)
        self._eval(None, _ADD, _EXPIRE_SECONDS, _MAX_FIELDS, name, name, 1)

    def sample(self, added: dict[str, int], pipe: Pipeline | None = None) -> None:
        """Store how many entries were ever added to each lane. Call it every few seconds.

        If `pipe` is given, its owner executes the command. Otherwise an error of Redis is ignored.
        """
        if added:
            flat = [part for lane, count in added.items() for part in (_field("a", lane), count)]
            self._eval(pipe, _SAMPLE, _EXPIRE_SECONDS, *flat)

    def window(self, minutes: int, *, now: float | None = None) -> list[Minute]:
        """Return the last `minutes`, including the current one, oldest first. A minute without work has empty counters.

        `now` is in seconds since 1970; the default is the server's time. Raises redis.RedisError.
        """
        last = int((self._client.time()[0] if now is None else now) // 60)
        numbers = range(last - minutes + 1, last + 1)
        with self._client.pipeline(transaction=False) as pipe:
            for minute in numbers:
                pipe.hgetall(keys.minute(minute))
            return [_minute(number, counts) for number, counts in zip(numbers, pipe.execute(), strict=True)]

    def _eval(self, pipe: Pipeline | None, script: str, *args: str | int) -> None:
        if pipe is not None:
            pipe.eval(script, 1, keys.MINUTES, *args)
            return
        try:
            self._client.eval(script, 1, keys.MINUTES, *args)
        except redis.RedisError:
            return  # a gap in the counters; the code that depends on Redis reports the error


def total(minutes: Iterable[Minute]) -> Minute:
    """Return the sum of several minutes. `added` has the latest value, `at` is that of the first minute."""
    sums = Minute(0)
    for minute in minutes:
        sums.at = sums.at or minute.at
        for name in _SUMMED:
            getattr(sums, name).update(getattr(minute, name))
        sums.added.update(minute.added)
    return sums


_SUMMED = tuple(one.name for one in fields(Minute) if one.name not in ("at", "added"))


def _minute(number: int, counts: dict[bytes, bytes]) -> Minute:
    minute = Minute(number * 60)
    by_lane: dict[str, dict[str, int]] = {
        "b": minute.batches,
        "w": minute.work_ms,
        "d": minute.deaths,
        "a": minute.added,
        "t": minute.waited_ms,
        "r": minute.restarts,
    }
    by_source = {"o": minute.outcomes, "c": minute.codes}
    for name, value in counts.items():
        kind, *parts = name.decode("utf-8", "replace").split(_SEPARATOR)
        match kind, parts:
            case (("o" | "c"), (lane, source, key)):
                by_source[kind][lane, source, key] += int(value)
            case "s", (lane, stage):
                minute.stages_ms[lane, stage] = int(value)
            case "l", (lane, place) if place.isdecimal() and int(place) <= len(WAIT_BOUNDS):
                minute.waits[lane, int(place)] = int(value)
            case "k", (lane, place) if place.isdecimal() and int(place) <= len(LOCK_BOUNDS):
                minute.locks[lane, int(place)] = int(value)
            case _, (lane,) if kind in by_lane:
                by_lane[kind][lane] = int(value)
    return minute


def _field(*parts: str) -> str:
    return _SEPARATOR.join(parts)


def _short(source: str) -> str:
    source = source.replace(_SEPARATOR, " ")
    return source if len(source) <= _MAX_SOURCE else source[: _MAX_SOURCE - 1] + "…"
