"""`python -m tests.benchmarks.silence FOLDER…`: how soon a silent source is found, and how many alarms are false.

Each FOLDER holds histories (`*-history.jsonl.zst` or `.jsonl`: lines with `at` in seconds since 1970 and `raw`), or
documents whose `publishedDateTime` counts as their arrival. A file can be given too. Each provider is a source, and its
arrivals are replayed: after each of them the rhythm is learnt from the past only.

- A cut at a random time between the first and the last arrival with a rhythm is found if the alarm comes within the
  larger of six hours and three of the 95th-percentile gaps before the cut, or is raised already. The alarm of all sources
  together is one of the source too.
- An alarm without a cut is false, whatever its cause; it counts once until the source is back. While nothing comes from any
  source, there is one alarm of all sources together, and none of a source because of it.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import subprocess
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from worker.monitoring.sources.hours import HOUR, MONTH, Hour
from worker.monitoring.sources.rhythm import Rhythm, learn
from worker.monitoring.sources.roll_up import MIN_SOURCES
from worker.monitoring.sources.silence_limits import MIN_GAPS
from worker.monitoring.sources.volume import volume

_KEPT_HOURS = 1500
_PROVIDER = re.compile(r"^provider:[^\n]*\n(?:[ \t]+[^\n]*\n)*?[ \t]+(?:domain|id):[ \t]*[\"']?([\w.-]+)", re.MULTILINE)
_PUBLISHED = re.compile(r"^publishedDateTime:\s*[\"']?([\dT:.+Z-]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence of all sources together: when it was an alarm, when it began, and when it ended."""

    alarm: float
    began: float
    ended: float


@dataclass(slots=True)
class Result:
    """The measures of one source. `delays`: of the cuts, in parts of what is allowed."""

    source: str
    months: float = 0.0
    false_alarms: int = 0
    low_alarms: int = 0
    worst_month: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def found(self) -> float:
        return sum(delay <= 1 for delay in self.delays) / len(self.delays)


def arrivals(path: Path) -> dict[str, list[float]]:
    """Return provider → the times at which its documents arrived, in order."""
    times: dict[str, list[float]] = {}
    for at, raw in _documents(path):
        provider = _PROVIDER.search(raw)
        if provider and at is not None:
            times.setdefault(provider[1].lower(), []).append(at)
    return {source: sorted(of) for source, of in times.items()}


def _documents(path: Path) -> Iterator[tuple[float | None, str]]:
    if path.is_file():
        with subprocess.Popen(["zstd", "-dcf", str(path)], stdout=subprocess.PIPE) as unpacked:
            assert unpacked.stdout is not None
            for line in unpacked.stdout:
                one = json.loads(line)
                if not one.get("deleted"):
                    yield float(one["at"]), one.get("raw") or ""
        return
    for file in path.rglob("*.md"):
        raw = file.read_text("utf-8", "replace")
        published = _PUBLISHED.search(raw)
        try:
            yield (datetime.fromisoformat(published[1]).timestamp() if published else None), raw
        except ValueError:
            continue


def silences_of_all(times: list[float]) -> list[Silence]:
    """Return the alarms of all sources together. `times`: of the arrivals of all of them."""
    return [
        Silence(alarm, at, later)
        for at, later, rhythm, _ in _learnt(times, [], is_limited=False)
        if (alarm := rhythm.silent_at(at)) < later
    ]


def _learnt(
    times: list[float], silences: list[Silence], *, is_limited: bool = True
) -> Iterator[tuple[float, float, Rhythm, list[Hour]]]:
    """Yield each arrival after which a clock hour ended: its time, that of the next one, the rhythm until then, the hours."""
    hours: list[Hour] = []
    count = learnt = 0
    rhythm: Rhythm | None = None
    for at, later in pairwise(times):
        count += 1
        _add(hours, at)
        if int(at // HOUR) == int(later // HOUR):
            continue
        # Learning again after each hour would change little for a source with thousands of documents.
        if rhythm is None or count - learnt > count // 100:
            ended = silences[: bisect_right(silences, at, key=lambda one: one.ended)]
            past = [(one.began, one.ended) for one in ended]
            rhythm, learnt = learn(hours[-_KEPT_HOURS:], (), past, is_limited=is_limited), count
        if rhythm is not None:
            yield at, later, rhythm, hours
            if rhythm.silent_at(at) < later:
                learnt = -count  # an alarm that was false changes the limit


def _alarm(rhythm: Rhythm, last: float, silences: list[Silence]) -> float:
    """Return when the silence of a source is an alarm of its own."""
    return rhythm.silent_at(last, [(one.alarm, one.ended) for one in silences if one.ended > last])


def replay(source: str, times: list[float], cuts: int, seed: int, silences: list[Silence]) -> Result | None:
    """Replay one source; None if it never has a rhythm."""
    rhythms: list[tuple[float, Rhythm]] = []
    result = Result(source)
    months: dict[int, int] = {}
    low = False
    for at, later, rhythm, hours in _learnt(times, silences):
        rhythms.append((at, rhythm))
        month = int((at - rhythms[0][0]) // MONTH)
        if _alarm(rhythm, at, silences) < later:
            result.false_alarms += 1
            months[month] = months.get(month, 0) + 1
        elif (is_low := volume(hours[-_KEPT_HOURS:], later).is_low) != low:
            low = is_low
            result.low_alarms += low
            months[month] = months.get(month, 0) + low
    if not rhythms:
        return None
    begin, end = rhythms[0][0], times[-1]
    result.months = (end - begin) / MONTH
    result.worst_month = max(months.values(), default=0)
    chance = random.Random(f"{seed} {source}")
    result.delays = [_delay(times, rhythms, chance.uniform(begin, end), silences) for _ in range(cuts)]
    return result


def _add(hours: list[Hour], at: float) -> None:
    start = int(at // HOUR) * HOUR
    if hours and hours[-1].at == start:
        last = hours[-1]
        hours[-1] = Hour(start, last.documents + 1, last.first, at)
    else:
        hours.append(Hour(start, 1, at, at))


def _delay(times: list[float], rhythms: list[tuple[float, Rhythm]], cut: float, silences: list[Silence]) -> float:
    """Return how long after `cut` the alarm comes, in parts of what is allowed."""
    _, rhythm = rhythms[max(0, bisect_right(rhythms, cut, key=lambda one: one[0]) - 1)]
    before = times[: bisect_right(times, cut)]
    gaps = sorted(later - earlier for earlier, later in pairwise(before))
    allowed = max(6 * HOUR, 3 * gaps[math.ceil(0.95 * len(gaps)) - 1])
    of_all = min((one.alarm for one in silences if one.ended > cut), default=math.inf)
    alarm = min(of_all, _alarm(rhythm, before[-1], silences))
    return max(0.0, alarm - cut) / allowed


def main() -> int:
    """Print a line for each source and the sums of each history. Returns 1 if a history misses the bar."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.silence", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--cuts", type=int, default=100, help="cuts of each source")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sources", action="store_true", help="a line for each source")
    options = parser.parse_args()
    missed = 0
    for given in options.paths:
        histories = sorted([*given.glob("*-history.jsonl*")]) if given.is_dir() else [given]
        for path in histories or [given]:
            missed += not _measure(path, options)
    return int(missed > 0)


def _measure(path: Path, options: argparse.Namespace) -> bool:
    found = arrivals(path)
    silences = (
        silences_of_all(sorted(at for times in found.values() for at in times)) if len(found) >= MIN_SOURCES else []
    )
    results = [
        result
        for source, times in sorted(found.items())
        if len(times) > MIN_GAPS and (result := replay(source, times, options.cuts, options.seed, silences)) is not None
    ]
    if not results:
        print(f"{path}: no source has {MIN_GAPS} gaps")
        return True
    if options.sources:
        for one in sorted(results, key=lambda one: -len(one.delays)):
            rate = (one.false_alarms + one.low_alarms) / max(1.0, one.months)
            print(
                f"  {one.source:32} {one.months:5.1f} months  found {one.found:4.0%}  "
                f"median delay {sorted(one.delays)[len(one.delays) // 2]:.2f} of the limit  "
                f"{one.false_alarms:3} + {one.low_alarms} false, {rate:.2f} a month, worst month {one.worst_month}"
            )
    months = sum(one.months for one in results)
    silent, low = sum(one.false_alarms for one in results), sum(one.low_alarms for one in results)
    found = sum(one.found for one in results) / len(results)
    delays = sorted(delay for one in results for delay in one.delays)
    noisy = sum((one.false_alarms + one.low_alarms) > max(1.0, one.months) for one in results)
    rate = (silent + low) / max(1.0, months)
    stood_still = sum(one.ended - one.began for one in silences) / (24 * HOUR)
    print(f"{path}: {len(silences)} alarms of all sources together, which were silent for {stood_still:.0f} days")
    print(
        f"{path}: {len(results)} sources, {months:.0f} source-months; {found:.1%} of the cuts found in time, median delay "
        f"{delays[len(delays) // 2]:.2f} of the limit; {rate:.2f} false alarms a source and month ({silent} silent, {low} low); "
        f"{noisy} sources above one a month"
    )
    return found >= 0.95 and rate <= 1


if __name__ == "__main__":
    raise SystemExit(main())
