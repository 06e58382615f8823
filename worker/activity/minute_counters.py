"""Counters by minute in Redis, which `status`, `tail`, the metrics and the circuit breaker read.

They are approximate on purpose: a worker that crashes after it settled a batch and before it counted it leaves a gap
here, never in the outcomes. Each minute has one hash, `copydesk:tally:<minute since 1970>`. The number of its fields is
limited, whatever source names crawlers invent. Each hour has one, `copydesk:hours:<hour since 1970>`, with the times of
stages and of documents, but without sources, and with the maxima of its minutes: it is kept for eight days.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

import redis
from redis.client import Pipeline

from worker.queue import keys
from worker.queue.replies import absent_if_wrong

OTHER = "(other)"
"""Counts all sources for which a minute's hash has no field left, and those whose name is not valid."""

NAMED_OTHER = "(other)…"
"""Counts a source that calls itself like `OTHER`."""

WAIT_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600, 14_400)
"""Upper bounds of the histogram of waits, in seconds. Longer waits are counted in one more bucket after these."""

LOCK_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5)
"""Upper bounds of the histogram of times under the writer lock, in seconds."""

_EXPIRE_SECONDS = 25 * 3600
EXPIRE_HOUR_SECONDS = 8 * 86_400
_MAX_FIELDS = 500
_MAX_SOURCE = 64  # characters; longer names are cut
_SEPARATOR = "\x1f"

Maxima = tuple[str, str, str]
"""What is counted, the lane (empty: all lanes) and a name; `monitoring` computes those of a minute."""

# The server's clock decides which minute it is, because the workers' clocks differ. `allow-oom`: operators must see the
# throughput of a server that is out of memory, and the counters are small and limited.
_MINUTE = """#!lua flags=allow-oom
local key = KEYS[1] .. string.format('%d', math.floor(redis.call('TIME')[1] / 60))
"""
_HOUR = """#!lua flags=allow-oom
local key = KEYS[1] .. string.format('%d', math.floor(redis.call('TIME')[1] / 3600))
"""
# KEYS: the prefix of the hashes. ARGV: expiry in seconds, limit of fields, then field, replacement field if the hash is
# full, number, …
_ADD = """
for i = 3, #ARGV, 3 do
  local name = ARGV[i]
  if redis.call('HEXISTS', key, name) == 0 and redis.call('HLEN', key) >= tonumber(ARGV[2]) then
    name = ARGV[i + 1]
  end
  redis.call('HINCRBY', key, name, ARGV[i + 2])
end
redis.call('EXPIRE', key, ARGV[1])
"""
_ADD_TO_MINUTE, _ADD_TO_HOUR = _MINUTE + _ADD, _HOUR + _ADD
# KEYS: the same. ARGV: expiry in seconds, then field, number, 1 if the largest number of the minute is kept, …
_SAMPLE = f"""{_MINUTE}
for i = 2, #ARGV, 3 do
  if ARGV[i + 2] == '0' or tonumber(ARGV[i + 1]) > (tonumber(redis.call('HGET', key, ARGV[i])) or -1) then
    redis.call('HSET', key, ARGV[i], ARGV[i + 1])
  end
end
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
    """Processes that crashed while they read the batch."""
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
    peaks: dict[str, int] = field(default_factory=dict)
    """Entries that waited on the lane, the most of all samples of this minute."""
    maxima: dict[Maxima, float] = field(default_factory=dict)
    """Of an hour: the largest values of its minutes, as far as these have ended."""
    is_unreadable: bool = False
    """Whether the counters are missing because their key holds something else."""

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
                rows.append((_field(kind, lane, short_source(source), name), _field(kind, lane, OTHER, name), count))
        if counts.deaths:
            rows.append((_field("d", lane),) * 2 + (counts.deaths,))
        times = _times(counts)
        if rows or times:
            self._eval(pipe, _ADD_TO_MINUTE, keys.MINUTES, _EXPIRE_SECONDS, _MAX_FIELDS, *_flat([*rows, *times]))
        if times:
            by_outcome = Counter[str]()
            for (_, outcome), count in counts.outcomes.items():
                by_outcome[outcome] += count
            times += [(_field("o", lane, "", outcome),) * 2 + (count,) for outcome, count in by_outcome.items()]
            self._eval(pipe, _ADD_TO_HOUR, keys.HOURS, EXPIRE_HOUR_SECONDS, _MAX_FIELDS, *_flat(times))

    def restarted(self, part: str) -> None:
        """Count a restart of a part of a worker by the watchdog. An error of Redis is ignored."""
        name = _field("r", part)
        self._eval(None, _ADD_TO_MINUTE, keys.MINUTES, _EXPIRE_SECONDS, _MAX_FIELDS, name, name, 1)

    def sample(
        self,
        added: Mapping[str, int],
        pipe: Pipeline | None = None,
        *,
        waiting: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Store how many entries were ever added to each lane, and how many wait. Call it every few seconds.

        If `pipe` is given, its owner executes the command. Otherwise an error of Redis is ignored.
        """
        if added:
            rows = [(_field("a", lane), count, 0) for lane, count in added.items()]
            rows += [(_field("p", lane), count, 1) for lane, count in waiting.items()]
            self._eval(pipe, _SAMPLE, keys.MINUTES, _EXPIRE_SECONDS, *(part for row in rows for part in row))

    def window(self, minutes: int, *, now: float | None = None) -> list[Minute]:
        """Return the last `minutes`, including the current one, oldest first. A minute without work has empty counters.

        `now` is in seconds since 1970; the default is the server's time. Raises redis.RedisError.
        """
        last = int((self._client.time()[0] if now is None else now) // 60)
        numbers = range(last - minutes + 1, last + 1)
        with self._client.pipeline(transaction=False) as pipe:
            for minute in numbers:
                pipe.hgetall(keys.minute(minute))
            replies = pipe.execute(raise_on_error=False)
        return [_read(60 * number, reply) for number, reply in zip(numbers, replies, strict=True)]

    def hours(self, count: int) -> list[Minute]:
        """Return the last `count` hours, including the current one, oldest first: their times and outcomes, without sources.

        Raises redis.RedisError.
        """
        last = int(self._client.time()[0] // 3600)
        numbers = range(last - count + 1, last + 1)
        with self._client.pipeline(transaction=False) as pipe:
            for hour in numbers:
                pipe.hgetall(keys.hour(hour))
            replies = pipe.execute(raise_on_error=False)
        return [_read(3600 * number, reply) for number, reply in zip(numbers, replies, strict=True)]

    def _eval(self, pipe: Pipeline | None, script: str, key: str, *args: str | int) -> None:
        if pipe is not None:
            pipe.eval(script, 1, key, *args)
            return
        try:
            self._client.eval(script, 1, key, *args)
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


_NOT_SUMMED = ("at", "added", "peaks", "maxima", "is_unreadable")
_SUMMED = tuple(one.name for one in fields(Minute) if one.name not in _NOT_SUMMED)


def _times(counts: Counts) -> list[tuple[str, str, int]]:
    """Return the rows (field, the same, number) of a batch's times."""
    lane = counts.lane
    numbers = {
        _field("b", lane): int(bool(counts.outcomes)),
        _field("w", lane): round(counts.work_ms),
        _field("t", lane): round(sum(counts.waits) * 1000),
        **{_field("s", lane, stage): round(spent) for stage, spent in counts.stages_ms.items()},
    }
    for place, count in Counter(bisect_left(WAIT_BOUNDS, waited) for waited in counts.waits).items():
        numbers[_field("l", lane, str(place))] = count
    if "lock" in counts.stages_ms:
        numbers[_field("k", lane, str(bisect_left(LOCK_BOUNDS, counts.stages_ms["lock"] / 1000)))] = 1
    return [(name, name, number) for name, number in numbers.items() if number]


def _flat(rows: Iterable[tuple[str, str, int]]) -> list[str | int]:
    return [part for row in rows for part in row]


def _read(at: int, reply: dict[bytes, bytes] | Exception) -> Minute:
    counts = absent_if_wrong(reply)
    try:
        return _parsed(at, counts) if counts is not None else Minute(at, is_unreadable=True)
    except ValueError:  # a count that is no number
        return Minute(at, is_unreadable=True)


def _parsed(at: int, counts: dict[bytes, bytes]) -> Minute:
    minute = Minute(at)
    by_lane: dict[str, dict[str, int]] = {
        "b": minute.batches,
        "w": minute.work_ms,
        "d": minute.deaths,
        "a": minute.added,
        "p": minute.peaks,
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
            case "m", (what, lane, key):
                minute.maxima[what, lane, key] = float(value)
            case "k", (lane, place) if place.isdecimal() and int(place) <= len(LOCK_BOUNDS):
                minute.locks[lane, int(place)] = int(value)
            case _, (lane,) if kind in by_lane:
                by_lane[kind][lane] = int(value)
    return minute


def _field(*parts: str) -> str:
    return _SEPARATOR.join(parts)


def maximum_field(key: Maxima) -> str:
    """Return the field of an hour's hash that keeps a maximum."""
    return _field("m", *key)


def short_source(source: str) -> str:
    """Return the name by which the counters know a source: long names are cut."""
    source = source.replace(_SEPARATOR, " ")
    return source if len(source) <= _MAX_SOURCE else source[: _MAX_SOURCE - 1] + "…"


def is_whole_name(source: str) -> bool:
    """Whether a name in the counters is a source's whole name: not cut, and not that of all others together."""
    return source not in (OTHER, NAMED_OTHER) and not (len(source) == _MAX_SOURCE and source.endswith("…"))
