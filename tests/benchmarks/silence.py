"""`python -m tests.benchmarks.silence FOLDER…`: how soon a silent source is found, and how many alarms are false.

Each FOLDER holds histories (`*-history.jsonl.zst` or `.jsonl`: lines with `at` in seconds since 1970 and `raw`), or
documents whose `publishedDateTime` counts as their arrival. A file can be given too. Each provider is a source, and its
arrivals are replayed: after each of them the rhythm is learnt from the past only. `--made-up` measures made-up rhythms.

- A cut at a random time between the first and the last arrival with a rhythm is found if the alarm comes within the
  larger of six hours and three of the 95th-percentile gaps before the cut (the deadline), or is raised already. The alarm
  of all sources together is one of the source too.
- An alarm without a cut is false, whatever its cause; it counts once until the source is back. While nothing comes from any
  source, there is one alarm of all sources together, and none of a source because of it.
- If more than one gap a month is longer than the deadline, both cannot be attained: such a source is in conflict. "At best"
  is what an alarm finds that knows the length of each gap beforehand and spares the shortest.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import subprocess
from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from tests.benchmarks import made_up_rhythms
from tests.benchmarks.made_up_rhythms import RHYTHMS
from worker.monitoring.sources.hours import HOUR, MONTH, Hour
from worker.monitoring.sources.rhythm import Rhythm, learn
from worker.monitoring.sources.roll_up import MIN_SOURCES, RETENTION_HOURS
from worker.monitoring.sources.silence_limits import MIN_GAPS
from worker.monitoring.sources.standstills import Period
from worker.monitoring.sources.volume import volume

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
    beyond: int = 0
    """Gaps beyond the deadline."""
    at_best: float = 1.0
    worst_month: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def allowed(self) -> float:
        return max(1.0, self.months)

    @property
    def is_noisy(self) -> bool:
        return self.false_alarms + self.low_alarms > self.allowed

    @property
    def is_in_conflict(self) -> bool:
        return self.beyond > self.allowed

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
        for at, later, rhythm, _ in _learnt(times, [], None)
        if (alarm := rhythm.silent_at(at)) < later
    ]


def _learnt(
    times: list[float], silences: list[Silence], alarms: list[Period] | None
) -> Iterator[tuple[float, float, Rhythm, list[Hour]]]:
    """Yield each arrival after which a clock hour ended: its time, that of the next one, the rhythm until then, the hours.

    The caller adds the silences that were false alarms to `alarms`. None: they do not limit others.
    """
    hours: list[Hour] = []
    count = learnt = known = 0
    rhythm: Rhythm | None = None
    for at, later in pairwise(times):
        count += 1
        _add(hours, at)
        if int(at // HOUR) == int(later // HOUR):
            continue
        # Learning again after each hour would change little for a source with thousands of documents.
        if rhythm is None or count - learnt > count // 100 or len(alarms or ()) > known:
            ended = silences[: bisect_right(silences, at, key=lambda one: one.ended)]
            past = [(one.began, one.ended) for one in ended]
            known = len(alarms or ())
            rhythm = learn(hours[-RETENTION_HOURS:], (), past, known, rhythm and rhythm.known_since)
            learnt = count
        if rhythm is not None:
            yield at, later, rhythm, hours


def _alarm(rhythm: Rhythm, last: float, silences: list[Silence]) -> float:
    """Return when the silence of a source is an alarm of its own."""
    return rhythm.silent_at(last, [(one.alarm, one.ended) for one in silences if one.ended > last])


def replay(source: str, times: list[float], cuts: int, seed: int, silences: list[Silence]) -> Result | None:
    """Replay one source; None if it never has a rhythm."""
    rhythms: list[tuple[float, Rhythm]] = []
    alarms: list[Period] = []
    result = Result(source)
    months: dict[int, int] = {}
    low = False
    for at, later, rhythm, hours in _learnt(times, silences, alarms):
        rhythms.append((at, rhythm))
        month = int((at - rhythms[0][0]) // MONTH)
        if _alarm(rhythm, at, silences) < later:
            alarms.append((at, later))
            months[month] = months.get(month, 0) + 1
        elif (is_low := volume(hours[-RETENTION_HOURS:], later).is_low) != low:
            low = is_low
            result.low_alarms += low
            months[month] = months.get(month, 0) + low
    if not rhythms:
        return None
    begin, end = rhythms[0][0], times[-1]
    result.false_alarms = len(alarms)
    result.months = (end - begin) / MONTH
    result.worst_month = max(months.values(), default=0)
    deadlines = _deadlines(times)
    _compare_with_deadlines(result, times, deadlines, begin, silences)
    chance = random.Random(f"{seed} {source}")
    result.delays = [_delay(times, deadlines, rhythms, chance.uniform(begin, end), silences) for _ in range(cuts)]
    return result


def _add(hours: list[Hour], at: float) -> None:
    start = int(at // HOUR) * HOUR
    if hours and hours[-1].at == start:
        last = hours[-1]
        hours[-1] = Hour(start, last.documents + 1, last.first, at)
    else:
        hours.append(Hour(start, 1, at, at))


def _deadlines(times: list[float]) -> list[float]:
    """Return for each arrival within how many seconds a silence that is cut after it has to be found."""
    gaps: list[float] = []
    deadlines = [0.0]
    for at, later in pairwise(times):
        insort(gaps, later - at)
        deadlines.append(max(6 * HOUR, 3 * gaps[math.ceil(0.95 * len(gaps)) - 1]))
    return deadlines


def _compare_with_deadlines(
    result: Result, times: list[float], deadlines: list[float], begin: float, silences: list[Silence]
) -> None:
    """Count the gaps beyond their deadlines since `begin`, and what is found at best in spite of them."""
    late: list[float] = []
    for (at, later), allowed in zip(pairwise(times), deadlines, strict=False):
        if at < begin or later - at <= allowed:
            continue
        ended = next((one.ended for one in silences if one.alarm <= at + allowed < one.ended), at)
        if later > ended + allowed:
            late.append(later - ended - allowed)
    result.beyond = len(late)
    spared = sorted(late)[: max(0, len(late) - int(result.allowed))]
    result.at_best = 1 - sum(spared) / max(1.0, times[-1] - begin)


def _delay(
    times: list[float],
    deadlines: list[float],
    rhythms: list[tuple[float, Rhythm]],
    cut: float,
    silences: list[Silence],
) -> float:
    """Return how long after `cut` the alarm comes, in parts of what is allowed."""
    _, rhythm = rhythms[max(0, bisect_right(rhythms, cut, key=lambda one: one[0]) - 1)]
    place = bisect_right(times, cut) - 1
    of_all = min((one.alarm for one in silences if one.ended > cut), default=math.inf)
    alarm = min(of_all, _alarm(rhythm, times[place], silences))
    return max(0.0, alarm - cut) / deadlines[place]


def main() -> int:
    """Print a line for each source and the sums of each history. Returns 1 if a history misses the bar."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.silence", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--made-up", action="store_true", help="measure made-up rhythms, three of each kind")
    parser.add_argument("--cuts", type=int, default=100, help="cuts of each source")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sources", action="store_true", help="a line for each source")
    options = parser.parse_args()
    missed = 0
    for given in options.paths:
        histories = sorted([*given.glob("*-history.jsonl*")]) if given.is_dir() else [given]
        for path in histories or [given]:
            times = arrivals(path)
            arrived = sorted(at for of in times.values() for at in of)
            silences = silences_of_all(arrived) if len(times) >= MIN_SOURCES else []
            missed += not _measure(str(path), times, silences, options)
    if options.made_up:
        times = {f"{name} {seed}": made_up_rhythms.arrivals(name, seed) for name in RHYTHMS for seed in range(3)}
        _measure("made-up rhythms", times, [], options)
    return int(missed > 0)


def _measure(name: str, found: dict[str, list[float]], silences: list[Silence], options: argparse.Namespace) -> bool:
    results = [
        result
        for source, times in sorted(found.items())
        if len(times) > MIN_GAPS and (result := replay(source, times, options.cuts, options.seed, silences)) is not None
    ]
    if not results:
        print(f"{name}: no source has {MIN_GAPS} gaps")
        return True
    if options.sources:
        for one in results:
            _print_source(one)
    stood_still = sum(one.ended - one.began for one in silences) / (24 * HOUR)
    print(f"{name}: {len(silences)} alarms of all sources together, which were silent for {stood_still:.0f} days")
    _print_sums(f"{name}, all", results)
    if any(one.is_in_conflict for one in results):
        _print_sums(f"{name}, not in conflict", [one for one in results if not one.is_in_conflict])
        for one in results:
            if one.is_in_conflict:
                _print_source(one)
    return _found(results) >= 0.95 and not any(one.is_noisy for one in results)


def _found(results: list[Result]) -> float:
    return sum(one.found for one in results) / len(results)


def _print_source(one: Result) -> None:
    rate = (one.false_alarms + one.low_alarms) / one.allowed
    conflict = f"; {one.beyond / one.allowed:.2f} gaps a month beyond the deadline, at best {one.at_best:.0%}"
    print(
        f"  {one.source:32} {one.months:5.1f} months  found {one.found:4.0%}  "
        f"median delay {sorted(one.delays)[len(one.delays) // 2]:.2f} of the limit  {one.false_alarms:3} + {one.low_alarms} "
        f"false, {rate:.2f} a month, worst month {one.worst_month}{conflict if one.is_in_conflict else ''}"
    )


def _print_sums(name: str, results: list[Result]) -> None:
    if not results:
        return
    months = sum(one.months for one in results)
    silent, low = sum(one.false_alarms for one in results), sum(one.low_alarms for one in results)
    delays = sorted(delay for one in results for delay in one.delays)
    print(
        f"{name}: {len(results)} sources, {months:.0f} source-months; {_found(results):.1%} of the cuts found in time, "
        f"median delay {delays[len(delays) // 2]:.2f} of the limit; {(silent + low) / max(1.0, months):.2f} false alarms a "
        f"source and month ({silent} silent, {low} low); {sum(one.is_noisy for one in results)} sources above one a month"
    )


if __name__ == "__main__":
    raise SystemExit(main())
