"""The rhythm of a source: how long its usual gaps are, and from when on a silence is an alarm. Pure: no I/O.

The method is empirical, because arrivals of news are bursty and fit no simple distribution (Barabási, "The origin of
bursts and heavy tails in human dynamics", Nature 435, 2005): a silence is an alarm when it is longer than six hours and
than about three times the 95th percentile of the gaps seen so far. Two corrections follow from the same history:

- A source that exceeded this more than once a month in the last year (it sleeps at night or at weekends, or sends only when
  something happens) gets the limit that it would have exceeded once a month. It is measured in operational time: each hour
  counts by how often the source sends in this hour of the week. Time-rescaling turns a process with a weekly rhythm into one
  without (Brown et al., Neural Computation 14, 2002).
- A source that has never been silent for long is an alarm earlier, at one and a half times its longest gap.

While Copydesk stood still nothing was expected of any source: such periods are part of no gap and of no silence.

Documents within one hour count as gaps of zero, so a burst cannot lengthen a gap, and arrivals are stored by the hour.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from worker.monitoring.sources.standstills import Period

HOUR = 3600
_WEEK = 168
MIN_GAPS = 30
"""With fewer gaps a source has no rhythm and raises nothing."""
_SHORTEST_LIMIT = 5.8 * HOUR
_LIMIT_GAPS = 2.9
"""Both are slightly below the promised six hours and three gaps, because the roll-up is up to two minutes late."""
_MONTH = 30 * 24 * HOUR
_YEAR = 365 * 24 * HOUR
_MARGIN = 1.1
"""A weekend is not of the same length each week."""
_QUICK_SHARE = 1.5
_QUICK_SECONDS = 1800
_QUICK_AFTER = 28 * 24 * HOUR
"""Seconds of history that an alarm before the limit needs."""
_WEEKLY_WINDOW = 56 * 24 * HOUR
_PRIOR_WEEKS = 4
_LEAST_WEIGHT = 0.01
_PLAIN = (float(HOUR),) * _WEEK
"""The weights of a clock that counts seconds."""


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour in which documents arrived. All times are in seconds since 1970."""

    at: int
    """When the hour begins."""
    documents: int
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What was learnt about a source. Gaps and limits are in seconds, `raised` and `quick` in operational hours."""

    gaps: int
    usual_gap: float
    """The median."""
    long_gap: float
    """The 95th percentile."""
    longest_gap: float
    limit: float
    weights: tuple[float, ...]
    """For each hour of the week, beginning on Thursday 00:00 UTC as Unix time does: the share of weeks in which the source
    sent documents in it."""
    documents: tuple[float, ...]
    """For the same hours: the documents that are expected."""
    raised: float | None = None
    quick: float | None = None

    def silent_at(
        self, last: float, standstills: Sequence[Period] = (), silences_of_all: Sequence[Period] = ()
    ) -> float:
        """Return when a silence that began at `last` becomes an alarm.

        A silence of all sources (oldest first) covers it: when that ends, the source has its usual time to come back.
        """
        alarm = self._silent_at(last, standstills)
        for began, ended in silences_of_all[bisect_right(silences_of_all, last, key=lambda period: period[1]) :]:
            if began <= alarm < ended:
                alarm = self._silent_at(ended, standstills)
        return alarm

    def _silent_at(self, last: float, standstills: Sequence[Period]) -> float:
        clock = OperationalClock(self.weights, standstills)
        plain = OperationalClock(_PLAIN, standstills)
        alarm = plain.after(last, self.limit)
        if self.raised is not None:
            return max(alarm, clock.after(last, self.raised))
        if self.quick is not None:
            return min(alarm, max(plain.after(last, _QUICK_SECONDS), clock.after(last, self.quick)))
        return alarm

    def expected(self, since: float, until: float) -> float:
        """Return how many documents are expected in a period."""
        return max(0.0, OperationalClock(self.documents).between(since, until))


class OperationalClock:
    """Time in which each hour of the week counts by a weight, and standstills (oldest first) do not count."""

    def __init__(self, weights: Sequence[float], standstills: Sequence[Period] = ()) -> None:
        self._weights = weights
        self._standstills = standstills
        self._ends = [ended for _, ended in standstills]
        self._sums = [0.0, *accumulate(weights)]

    def at(self, time: float) -> float:
        """Return the sum of the weights from 1970 to `time`."""
        weeks, hours = divmod(time / HOUR, _WEEK)
        number = min(int(hours), _WEEK - 1)
        return weeks * self._sums[-1] + self._sums[number] + (hours - number) * self._weights[number]

    def between(self, since: float, until: float) -> float:
        """Return the sum of the weights in a period, without those of standstills."""
        amount = self.at(until) - self.at(since)
        for began, ended in self._standstills[bisect_right(self._ends, since) :]:
            if began >= until:
                break
            amount -= self.at(min(until, ended)) - self.at(max(since, began))
        return amount

    def after(self, time: float, amount: float) -> float:
        """Return when `amount` has passed since `time`. No weight may be zero."""
        end = self._after(time, amount)
        for began, ended in self._standstills[bisect_right(self._ends, time) :]:
            if began >= end:
                break
            amount += self.at(ended) - self.at(max(time, began))
            end = self._after(time, amount)
        return end

    def _after(self, time: float, amount: float) -> float:
        weeks, rest = divmod(self.at(time) + amount, self._sums[-1])
        number = min(bisect_right(self._sums, rest) - 1, _WEEK - 1)
        return (weeks * _WEEK + number + (rest - self._sums[number]) / self._weights[number]) * HOUR


def learn(
    hours: Sequence[Hour], standstills: Sequence[Period] = (), silences_of_all: Sequence[Period] = ()
) -> Rhythm | None:
    """Return the rhythm of a source whose documents arrived in `hours`, oldest first; None: there are too few gaps.

    `silences_of_all`: when nothing came from any source, oldest first. Then the source had no alarm of its own.
    """
    pairs = list(pairwise(hours))
    plain = OperationalClock(_PLAIN, standstills)
    between = [max(0.0, plain.between(earlier.last, later.first)) for earlier, later in pairs]
    within = sum(hour.documents - 1 for hour in hours)
    if not pairs or len(between) + within < MIN_GAPS:
        return None
    ranked = sorted(between)
    long_gap = _quantile(ranked, within, 0.95)
    limit = max(_SHORTEST_LIMIT, _LIMIT_GAPS * long_gap)
    weights = _weekly(hours, [1.0] * len(hours), most=1.0)
    clock = OperationalClock(weights, standstills)
    spans = [clock.between(earlier.last, later.first) for earlier, later in pairs]
    history = hours[-1].last - hours[0].first
    return Rhythm(
        gaps=len(between) + within,
        usual_gap=_usual(hours, ranked, within),
        long_gap=long_gap,
        longest_gap=ranked[-1],
        limit=limit,
        weights=weights,
        documents=_weekly(hours, _without_bursts(hours)),
        raised=_raised(pairs, between, spans, limit, history, silences_of_all),
        quick=_QUICK_SHARE * max(spans) if history >= _QUICK_AFTER else None,
    )


def _quantile(ranked: Sequence[float], zeros: int, share: float) -> float:
    """Return a quantile of `zeros` gaps of zero and the gaps `ranked`, which are sorted."""
    place = math.ceil(share * (len(ranked) + zeros)) - 1 - zeros
    return ranked[place] if place >= 0 else 0.0


def _usual(hours: Sequence[Hour], ranked: Sequence[float], within: int) -> float:
    """Return the median gap. Within hours only the mean is known."""
    if within <= len(ranked):
        return _quantile(ranked, within, 0.5)
    return sum(hour.last - hour.first for hour in hours) / within


def _raised(
    pairs: Sequence[tuple[Hour, Hour]],
    between: Sequence[float],
    spans: Sequence[float],
    limit: float,
    history: float,
    silences_of_all: Sequence[Period],
) -> float | None:
    """Return the limit in operational hours that gaps of the last year exceeded once a month at most.

    None if they did not exceed `limit` more often.
    """
    since = pairs[-1][1].last - _YEAR
    beyond = sorted(
        span
        for (earlier, later), gap, span in zip(pairs, between, spans, strict=True)
        if later.last >= since and gap >= limit and not _overlaps(silences_of_all, earlier.last, later.first)
    )
    allowed = max(1, int(min(history, _YEAR) / _MONTH))
    return _MARGIN * beyond[-allowed] if len(beyond) > allowed else None


def _overlaps(periods: Sequence[Period], began: float, ended: float) -> bool:
    place = bisect_right(periods, began, key=lambda period: period[1])
    return place < len(periods) and periods[place][0] < ended


def find_silences(hours: Sequence[Hour], rhythm: Rhythm | None, standstills: Sequence[Period] = ()) -> list[Period]:
    """Return the silences that are alarms by `rhythm`, in the past of the source that it was learnt from."""
    if rhythm is None:
        return []
    pairs = ((earlier.last, later.first) for earlier, later in pairwise(hours))
    return [
        (last, first)
        for last, first in pairs
        if first - last >= _QUICK_SECONDS and rhythm.silent_at(last, standstills) < first
    ]


def _without_bursts(hours: Sequence[Hour]) -> list[float]:
    """Return the documents of each hour, at most as many as in 19 of 20 hours."""
    most = _quantile(sorted(float(hour.documents) for hour in hours), 0, 0.95)
    return [min(float(hour.documents), most) for hour in hours]


def _weekly(hours: Sequence[Hour], amounts: Sequence[float], most: float = math.inf) -> tuple[float, ...]:
    """Return the mean amount in each hour of the week, over the last eight weeks, or all if they had few documents.

    Where there are few weeks, the mean of the hour of the day counts more, and where there are few days, the mean of all
    hours.
    """
    last = hours[-1].last
    recent = [number for number, hour in enumerate(hours) if hour.at >= last - _WEEKLY_WINDOW]
    numbers = recent if len(recent) >= MIN_GAPS else range(len(hours))
    span = max(1.0, (last - hours[numbers[0]].at) / HOUR)
    by_day, by_week = [0.0] * 24, [0.0] * _WEEK
    for number in numbers:
        place = hours[number].at // HOUR
        by_day[place % 24] += amounts[number]
        by_week[place % _WEEK] += amounts[number]
    mean = sum(by_day) / span
    days, weeks = span / 24, span / _WEEK
    daily = [(amount + mean * _PRIOR_WEEKS) / (days + _PRIOR_WEEKS) for amount in by_day]
    return tuple(
        min(most, max(_LEAST_WEIGHT * mean, (amount + daily[place % 24] * _PRIOR_WEEKS) / (weeks + _PRIOR_WEEKS)))
        for place, amount in enumerate(by_week)
    )
