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
from worker.monitoring.sources.silence_limits import MIN_GAPS, GapHistory, SilenceLimits
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
    known_since: float
    """Since when the source can have alarms."""
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
    false_alarms: int = 0,
    known_since: float | None = None,
) -> Rhythm | None:
    """Return the rhythm of a source whose documents arrived in `hours`, oldest first; None: there are too few gaps.

    `silences_of_all`: when nothing came from any source, oldest first. Then the source had no alarm of its own.
    `false_alarms`: how many alarms of its silence ended; they limit how soon there is another one.
    `known_since`: that of its rhythm when it was learnt for the first time.
    """
    if len(hours) < 2 or sum(hour.documents for hour in hours) <= MIN_GAPS:
        return None
    seconds = OperationalClock.of_seconds(standstills)
    clock = OperationalClock(weekly_activity(hours), standstills)
    history = GapHistory(seconds, clock, silences_of_all)
    history.add_documents(hours[0].documents)
    for earlier, later in pairwise(hours):
        history.add_gap(earlier.last, later.first)
        history.add_documents(later.documents)
    last = hours[-1].last
    since = min(history.since, last) if known_since is None else known_since
    return Rhythm(
        gaps=history.count,
        usual_gap=_usual_gap(hours, history.gaps, history.zeros),
        long_gap=quantile(history.gaps, history.zeros, 0.95),
        longest_gap=history.gaps[-1],
        documents=weekly_documents(hours),
        known_since=since,
        limits=history.limits(last, since, false_alarms),
        seconds=seconds,
        clock=clock,
    )


def _usual_gap(hours: Sequence[Hour], gaps: Sequence[float], zeros: int) -> float:
    """Return the median gap. Within hours only the mean is known."""
    if zeros <= len(gaps):
        return quantile(gaps, zeros, 0.5)
    return sum(hour.last - hour.first for hour in hours) / zeros
