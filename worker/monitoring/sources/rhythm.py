"""The rhythm of a source: how long its usual gaps are, and from when on a silence is an alarm. Pure: no I/O.

While Copydesk stood still nothing was expected of any source: such periods are part of no gap and of no silence.

Documents within one hour count as gaps of zero, so a burst cannot lengthen a gap, and arrivals are stored by the hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from worker.monitoring.sources.hours import Hour, quantile, weekly_activity, weekly_documents
from worker.monitoring.sources.operational_clock import OperationalClock
from worker.monitoring.sources.silence_limits import MIN_GAPS, SilenceLimits, SilenceReplay
from worker.monitoring.sources.standstills import Period


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What was learnt about a source. Gaps are in seconds, times in seconds since 1970."""

    gaps: int
    usual_gap: float
    """The median."""
    long_gap: float
    """The 95th percentile."""
    longest_gap: float
    documents: tuple[float, ...]
    """For each hour of the week, beginning on Thursday 00:00 UTC: the documents that are expected."""
    alarms: Sequence[Period]
    """The silences that were alarms before, oldest first."""
    limits: SilenceLimits
    seconds: OperationalClock
    clock: OperationalClock

    def silent_at(self, last: float, silences_of_all: Sequence[Period] = ()) -> float:
        """Return when a silence that began at `last` is an alarm. `silences_of_all`: as for `learn`."""
        return self.limits.alarm_beside(silences_of_all, last, self.seconds, self.clock)


def learn(
    hours: Sequence[Hour],
    standstills: Sequence[Period] = (),
    silences_of_all: Sequence[Period] = (),
    *,
    is_limited: bool = True,
) -> Rhythm | None:
    """Return the rhythm of a source whose documents arrived in `hours`, oldest first; None: there are too few gaps.

    `silences_of_all`: when nothing came from any source, oldest first. Then the source had no alarm of its own.
    `is_limited`: at most one alarm of silence a month may be false.
    """
    if len(hours) < 2 or sum(hour.documents for hour in hours) <= MIN_GAPS:
        return None
    seconds = OperationalClock.of_seconds(standstills)
    clock = OperationalClock(weekly_activity(hours), standstills)
    replay = SilenceReplay(seconds, clock, silences_of_all, is_limited)
    replay.add_documents(hours[0].documents)
    for earlier, later in pairwise(hours):
        replay.add_gap(earlier.last, later.first)
        replay.add_documents(later.documents)
    return Rhythm(
        gaps=replay.count,
        usual_gap=_usual_gap(hours, replay.gaps, replay.zeros),
        long_gap=quantile(replay.gaps, replay.zeros, 0.95),
        longest_gap=replay.gaps[-1],
        documents=weekly_documents(hours),
        alarms=replay.alarms,
        limits=replay.limits(hours[-1].last),
        seconds=seconds,
        clock=clock,
    )


def _usual_gap(hours: Sequence[Hour], gaps: Sequence[float], zeros: int) -> float:
    """Return the median gap. Within hours only the mean is known."""
    if zeros <= len(gaps):
        return quantile(gaps, zeros, 0.5)
    return sum(hour.last - hour.first for hour in hours) / zeros
