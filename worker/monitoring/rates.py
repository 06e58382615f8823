"""Rates computed from the minute counters: what was added and settled, how fast, and what was rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from worker.activity.minute_counters import Minute, total
from worker.settings import INTERNAL_LANE


@dataclass(slots=True)
class Flow:
    """The documents of a period. `seconds`: its length; rates are documents a second."""

    seconds: float
    added: int = 0
    settled: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    by_source: dict[str, Counter[str]] = field(default_factory=dict)
    """Source → outcome → documents."""
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(code of the first error, source) → documents."""

    @property
    def rate(self) -> float:
        return round(self.settled / self.seconds, 1) if self.seconds else 0.0


def flow(minutes: Sequence[Minute], before: Minute | None, *, seconds: float, lane: str | None = None) -> Flow:
    """Return the flow of `minutes`, of one lane or of all lanes for producers. `before`: the minute before them."""
    documents, sums = Flow(seconds), total(minutes)
    for (on, source, outcome), count in sums.outcomes.items():
        if on == lane or (lane is None and on != INTERNAL_LANE):
            documents.settled += count
            documents.outcomes[outcome] += count
            documents.by_source.setdefault(source, Counter())[outcome] += count
    for (on, source, code), count in sums.codes.items():
        if on == lane or (lane is None and on != INTERNAL_LANE):
            documents.rejected[code, source] += count
    earlier = before.added if before is not None else {}
    documents.added = _growth(_of_lane(sums.added, lane), _of_lane(earlier, lane), documents.settled)
    return documents


def _of_lane(counts: Mapping[str, int], lane: str | None) -> Mapping[str, int]:
    return {name: count for name, count in counts.items() if lane in (None, name)}


def drain_seconds(backlog: int, net_rate: float) -> float | None:
    """Return the seconds until the backlog is empty at `net_rate` documents a second; None if it does not shrink."""
    if not backlog:
        return 0.0
    return round(backlog / net_rate, 1) if net_rate > 0 else None


def top(counts: Mapping[tuple[str, str], int], limit: int) -> dict[str, int]:
    """Return `{"no_title from my-crawler": 3}`, the most frequent first; the rest is summed under `others`."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = {f"{code} from {source}": count for (code, source), count in ranked[:limit]}
    rest = sum(count for _, count in ranked[limit:])
    return {**named, "others": rest} if rest else named


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval of a plot. `at`: its start in seconds since 1970; `backlog`: documents that waited at its end.

    The maxima are those of its minutes, so that a peak is as high at every zoom.
    """

    at: int
    seconds: int
    added: int
    outcomes: Mapping[str, int]
    backlog: int
    busiest: int = 0
    """Documents that got an outcome in the busiest minute; `most_rejected`: that were rejected in the worst one."""
    most_rejected: int = 0
    longest: int = 0
    """Most documents that waited at one time."""

    @property
    def settled(self) -> int:
        return sum(self.outcomes.values())


def intervals(minutes: Sequence[Minute], *, width: int, count: int, backlog: int) -> list[Interval]:
    """Return the last `count` intervals of `width` minutes, of all lanes for producers, oldest first.

    The backlog of each minute is computed backwards from the current one by what was added and settled. It is
    approximate, as the minute counters are, and never negative.
    """
    plotted: list[Interval] = []
    for end in range(len(minutes), 0, -width)[:count]:
        start = max(0, end - width)
        part = minutes[start:end]
        by_minute = [_outcomes(minute) for minute in part]
        settled, at_end, longest, added = [sum(one.values()) for one in by_minute], backlog, 0, 0
        for place in range(end - 1, start - 1, -1):
            minute, done = minutes[place], settled[place - start]
            longest = max(longest, backlog, _waited(minute))
            came = _growth(minute.added, _last_sample(minutes, place), done)
            added += came
            backlog += done - came
        sums = Counter[str]()
        for one in by_minute:
            sums.update(one)
        rejected = max(one.get("rejected", 0) for one in by_minute)
        plotted.append(
            Interval(part[0].at, 60 * len(part), added, dict(sums), max(0, at_end), max(settled), rejected, longest)
        )
    return plotted[::-1]


def _waited(minute: Minute) -> int:
    return sum(count for lane, count in minute.peaks.items() if lane != INTERNAL_LANE)


def _outcomes(minute: Minute) -> dict[str, int]:
    """Return outcome → documents. It reads only `outcomes`: a day has a hundred thousand counts."""
    counts: dict[str, int] = {}
    for (lane, _, outcome), count in minute.outcomes.items():
        if lane != INTERNAL_LANE:
            counts[outcome] = counts.get(outcome, 0) + count
    return counts


def _growth(last: Mapping[str, int], first: Mapping[str, int], settled: int) -> int:
    """Return the growth of the lanes' counters. Without an earlier sample, the settled documents count as added."""
    names = [name for name in last if name in first]
    if not names:
        # A period without samples had no additions, unless there has never been a sample.
        return 0 if first and not last else settled
    # A counter that decreased belongs to a server that lost its data.
    return sum(max(0, last[name] - first[name]) for name in names)


def _last_sample(minutes: Sequence[Minute], end: int) -> Mapping[str, int]:
    """Return the counters of the last minute with samples before `end`. There are none while no worker is alive."""
    for place in range(end - 1, -1, -1):
        if minutes[place].added:
            return minutes[place].added
    return {}
