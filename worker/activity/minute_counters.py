"""What was done, by the minute: small counters in Redis that `status`, `tail`, metrics and the circuit breaker read.

Approximate on purpose: a worker that dies between its settlement and its tally leaves a gap here, never in the outcomes.
One hash a minute, `copydesk:tally:<minute since 1970>`, with a bounded number of fields whatever names crawlers invent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import redis

from worker.queue import keys

OTHER = "(other)"
"""Stands for the sources that no longer found room in a minute."""

WAIT_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600, 14_400)
"""Seconds. What waits longer is counted in a last place after these."""

_EXPIRE_SECONDS = 25 * 3600
_MOST_FIELDS = 500
_LONGEST_SOURCE = 64  # characters; longer names are told by their beginning
_SEPARATOR = "\x1f"

# Which minute it is, is the server's to say: workers' clocks differ.
_MINUTE = """
local key = KEYS[1] .. string.format('%d', math.floor(redis.call('TIME')[1] / 60))
"""
# KEYS: what the name of a minute's hash begins with. ARGV: seconds to keep, most fields, then field, field in its stead,
# number, …
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
# KEYS: as above. ARGV: seconds to keep, then field, number, …
_SAMPLE = f"""{_MINUTE}
redis.call('HSET', key, unpack(ARGV, 2))
redis.call('EXPIRE', key, ARGV[1])
"""


@dataclass(slots=True)
class Counts:
    """What one batch of a lane came to. Keys are (source, outcome) and (source, code of the first error)."""

    lane: str
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    work_ms: float = 0
    """Wall time of the batch in its process."""
    stages_ms: dict[str, float] = field(default_factory=dict)
    """Of that, by stage."""
    deaths: int = 0
    """Documents that were in the hands of a process when it died."""
    waits: list[float] = field(default_factory=list)
    """Seconds from a document's arrival on its lane to its outcome."""


@dataclass(slots=True)
class Minute:
    """One minute of all workers. Keys: (lane, source, outcome), (lane, source, code), (lane, stage), or the lane alone."""

    at: int
    """Seconds since 1970 at its beginning."""
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    codes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    batches: Counter[str] = field(default_factory=Counter)
    work_ms: Counter[str] = field(default_factory=Counter)
    stages_ms: Counter[tuple[str, str]] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    waits: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(lane, place in WAIT_BOUNDS of the first bound that is not exceeded) → documents."""
    waited_ms: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    """Part of a worker → how often a watchdog restarted it."""
    added: dict[str, int] = field(default_factory=dict)
    """Entries ever added to the lane, as last seen in this minute: the difference of two minutes is what came in."""

    def documents(self, lane: str | None = None) -> int:
        """How many documents got an outcome, on one lane or on all."""
        return sum(count for (on, _, _), count in self.outcomes.items() if lane in (None, on))


class MinuteCounters:
    """Writes and reads the minutes."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def add(self, counts: Counts, pipe: Any = None) -> None:
        """Count a batch: as part of `pipe`, or where none is given at once, with trouble swallowed."""
        lane, rows = counts.lane, list[tuple[str, str, int]]()
        for kind, found in (("o", counts.outcomes), ("c", counts.codes)):
            for (source, name), count in found.items():
                rows.append((_field(kind, lane, _short(source), name), _field(kind, lane, OTHER, name), count))
        single = (("b", int(bool(counts.outcomes))), ("w", round(counts.work_ms)), ("d", counts.deaths))
        rows += [(_field(kind, lane), _field(kind, lane), count) for kind, count in single if count]
        waits = Counter(bisect_left(WAIT_BOUNDS, waited) for waited in counts.waits)
        rows += [(_field("l", lane, str(place)),) * 2 + (count,) for place, count in waits.items()]
        if waited := round(sum(counts.waits) * 1000):
            rows.append((_field("t", lane), _field("t", lane), waited))
        for stage, spent in counts.stages_ms.items():
            rows.append((_field("s", lane, stage), _field("s", lane, stage), round(spent)))
        if rows:
            flat = [part for row in rows for part in row]
            self._eval(pipe, _ADD, 1, keys.MINUTES, _EXPIRE_SECONDS, _MOST_FIELDS, *flat)

    def restarted(self, part: str) -> None:
        """Count that a watchdog restarted a part of its worker; trouble is swallowed."""
        name = _field("r", part)
        self._eval(None, _ADD, 1, keys.MINUTES, _EXPIRE_SECONDS, _MOST_FIELDS, name, name, 1)

    def sample(self, added: dict[str, int], pipe: Any = None) -> None:
        """Note how many entries each lane has ever had; called every few seconds."""
        if added:
            flat = [part for lane, count in added.items() for part in (_field("a", lane), count)]
            self._eval(pipe, _SAMPLE, 1, keys.MINUTES, _EXPIRE_SECONDS, *flat)

    def window(self, minutes: int, *, now: float | None = None) -> list[Minute]:
        """The last `minutes`, the current one included, oldest first; a minute without work is an empty row."""
        last = int((self._client.time()[0] if now is None else now) // 60)
        wanted = range(last - minutes + 1, last + 1)
        with self._client.pipeline(transaction=False) as pipe:
            for minute in wanted:
                pipe.hgetall(keys.minute(minute))
            return [_minute(number, found) for number, found in zip(wanted, pipe.execute(), strict=True)]

    def _eval(self, pipe: Any, *args: Any) -> None:
        if pipe is not None:
            pipe.eval(*args)
            return
        try:
            self._client.eval(*args)
        except redis.RedisError:
            return  # a gap in the tally; whoever needs Redis for more than figures says what is wrong with it


def total(minutes: Iterable[Minute]) -> Minute:
    """The sum of several minutes (of `added`, the latest)."""
    found = Minute(0)
    for minute in minutes:
        found.at = found.at or minute.at
        for name in (
            "outcomes",
            "codes",
            "batches",
            "work_ms",
            "stages_ms",
            "deaths",
            "waits",
            "waited_ms",
            "restarts",
        ):
            getattr(found, name).update(getattr(minute, name))
        found.added.update(minute.added)
    return found


def _minute(number: int, fields: dict[bytes, bytes]) -> Minute:
    found = Minute(number * 60)
    single = {"b": found.batches, "w": found.work_ms, "d": found.deaths, "a": found.added,
              "t": found.waited_ms, "r": found.restarts}  # fmt: skip
    for name, value in fields.items():
        kind, *parts = name.decode("utf-8", "replace").split(_SEPARATOR)
        if kind in ("o", "c") and len(parts) == 3:
            (found.outcomes if kind == "o" else found.codes)[parts[0], parts[1], parts[2]] += int(value)
        elif kind == "s" and len(parts) == 2:
            found.stages_ms[parts[0], parts[1]] = int(value)
        elif kind == "l" and len(parts) == 2 and parts[1].isdecimal() and int(parts[1]) <= len(WAIT_BOUNDS):
            found.waits[parts[0], int(parts[1])] = int(value)
        elif kind in single and len(parts) == 1:
            single[kind][parts[0]] = int(value)
    return found


def _field(*parts: str) -> str:
    return _SEPARATOR.join(parts)


def _short(source: str) -> str:
    source = source.replace(_SEPARATOR, " ")
    return source if len(source) <= _LONGEST_SOURCE else source[: _LONGEST_SOURCE - 1] + "…"
