"""Rates computed from the minute counters: what was added and settled, how fast, and what was rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from worker.activity.minute_counters import Maxima, Minute, total
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
        """Documents a second to one decimal."""
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

    The maxima are those of its minutes, so that a peak is as high at every zoom. None: it is not known.
    """

    at: int
    seconds: int
    added: int | None
    outcomes: Mapping[str, int]
    backlog: int | None
    busiest: int = 0
    """Documents that got an outcome in the busiest minute; `most_rejected`: that were rejected in the worst one."""
    most_rejected: int = 0
    longest: int | None = None
    """Most documents that waited at one time."""

    @property
    def settled(self) -> int:
        return sum(self.outcomes.values())


def intervals(minutes: Sequence[Minute], *, width: int, count: int, backlog: int) -> list[Interval]:
    """Return the last `count` intervals of `width` minutes, of all lanes for producers, oldest first.

    The backlog of each minute is computed backwards from the current one by what was added and settled. It is
    approximate, as the minute counters are, and never negative. Before the first sample of a worker it is not known.
    """
    plotted: list[Interval] = []
    first = next((place for place, minute in enumerate(minutes) if minute.added), len(minutes) - 1)
    for end in range(len(minutes), 0, -width)[:count]:
        start = max(0, end - width)
        part = minutes[start:end]
        by_minute = [_outcomes(minute) for minute in part]
        settled, added, longest = [sum(one.values()) for one in by_minute], 0, None
        at_end = max(0, backlog) if end > first else None
        for place in range(end - 1, start - 1, -1):
            minute, done = minutes[place], settled[place - start]
            if place >= first:
                longest = max(longest or 0, backlog, _waited(minute))
            came = _growth(minute.added, _last_sample(minutes, place), done)
            added += came
            backlog += done - came
        sums = Counter[str]()
        for one in by_minute:
            sums.update(one)
        rejected = max(one.get("rejected", 0) for one in by_minute)
        plotted.append(Interval(part[0].at, 60 * len(part), added, dict(sums), at_end, max(settled), rejected, longest))
    return plotted[::-1]


COUNT = "count"
"""Kind of the maxima that an hour keeps of its minutes: documents of all lanes for producers."""


def maxima_of(minute: Minute) -> dict[Maxima, float]:
    """Return the counts of a minute that its hour keeps: documents with an outcome, rejected ones, and those that waited."""
    outcomes = _outcomes(minute)
    counts = {
        "settled": sum(outcomes.values()),
        "rejected": outcomes.get("rejected", 0),
        "waiting": _waited(minute),
    }
    return {(COUNT, "", name): float(count) for name, count in counts.items() if count}


def hour_intervals(hours: Sequence[Minute], *, width: int, backlog: int) -> list[Interval]:
    """Return intervals of `width` hours, of all lanes for producers, oldest first. `backlog`: what waits now.

    Of each minute in them only the maxima are known: not how many documents came in, nor what waited at the end.
    """
    plotted = []
    for end in range(len(hours), 0, -width):
        part = hours[max(0, end - width) : end]
        sums = Counter[str]()
        for hour in part:
            sums.update(_outcomes(hour))
        # In an hour that has no maxima, the busiest minute had at least the mean.
        means = [
            [-(-count // 60) for count in (sum(of.values()), of.get("rejected", 0))] for of in map(_outcomes, part)
        ]
        busiest, rejected = (max(mean[place] for mean in means) for place in range(2))
        maxima = {
            name: max(int(hour.maxima.get((COUNT, "", name), 0)) for hour in part) for name in ("settled", "rejected")
        }
        waiting = [int(hour.maxima.get((COUNT, "", "waiting"), 0)) for hour in part if hour.maxima]
        is_last = end == len(hours)
        longest = max([*waiting, *([backlog] if is_last else [])], default=None)
        plotted.append(
            Interval(
                part[0].at, 3600 * len(part), None, dict(sums), backlog if is_last else None,
                max(busiest, maxima["settled"]), max(rejected, maxima["rejected"]), longest,
            )
        )  # fmt: skip
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
