"""When the silence of a source is an alarm. Pure: no I/O.

What must hold: a source that stops is reported within six hours, or within three of its long gaps (the 95th percentile)
where that is longer, and of the alarms at most one a month is false. The rule follows from these two:

- An alarm before this deadline is needed for nothing, and each one can be false. So it is raised at the deadline. Where at
  most one gap a month is longer, that attains both.
- Where more gaps are longer, no rule attains both: it does not know which gap will be long. Then false alarms are limited.
  Each alarm that ended because the source was back counts as false. After n of them within the known history the next
  alarm waits until this history is n + 1 months long, unless the silence is five times as long as any before. To wait a
  little longer each time would spare few alarms, since the gaps of such sources differ by a factor of a hundred
  (Barabási, "The origin of bursts and heavy tails in human dynamics", Nature 435, 2005).
- A source that is silent beyond the deadline more than three times a month has a habit: nights, weekends. Its silence is
  an alarm if it is longer than it was once a month, in operational time, which passes slowly in the hours of the week in
  which the source seldom sends.
- A source that has had so few false alarms that two more would be allowed is reported before the deadline, after
  one and a half times its longest silence, in operational time.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from worker.monitoring.sources.hours import HOUR, MONTH, quantile
from worker.monitoring.sources.operational_clock import OperationalClock
from worker.monitoring.sources.standstills import Period

MIN_GAPS = 30
"""With fewer gaps a source has no rhythm and raises nothing."""
_PROMISED_SECONDS = 6 * HOUR
_PROMISED_GAPS = 3
_ROLL_UP_SECONDS = 180
"""An alarm is raised up to so long after it is due."""
_HABIT_A_MONTH = 3
_EARLY_FACTOR = 1.5
_SHORTEST_EARLY = 1800
_UNHEARD_OF_FACTOR = 5


@dataclass(frozen=True, slots=True)
class SilenceLimits:
    """When a silence is an alarm. `deadline` is in seconds, `habit` and `longest` in operational hours."""

    deadline: float
    habit: float | None
    """None: the source has no habit of being silent for longer than the deadline."""
    longest: float
    not_before: float
    """A time in seconds since 1970. Before it an alarm would be one false alarm too many."""
    early_after: float
    """From this time on alarms are raised before the deadline."""

    def alarm_at(self, last: float, seconds: OperationalClock, clock: OperationalClock) -> float:
        """Return when a silence that began at `last` is an alarm."""
        alarm = seconds.after(last, self.deadline)
        if self.habit is not None:
            alarm = max(alarm, clock.after(last, self.habit))
        if alarm < self.not_before:
            alarm = max(alarm, min(self.not_before, clock.after(last, _UNHEARD_OF_FACTOR * self.longest)))
        if self.habit is None:
            early = max(seconds.after(last, _SHORTEST_EARLY), clock.after(last, _EARLY_FACTOR * self.longest))
            alarm = min(alarm, max(early, self.early_after))
        return alarm

    def alarm_beside(
        self, silences_of_all: Sequence[Period], last: float, seconds: OperationalClock, clock: OperationalClock
    ) -> float:
        """Return when a silence that began at `last` is an alarm of this source alone.

        A silence of all sources (oldest first) covers it: when that ends, the source has its usual time to come back.
        """
        alarm = self.alarm_at(last, seconds, clock)
        for began, ended in silences_of_all[_place(silences_of_all, last) :]:
            if began <= alarm < ended:
                alarm = self.alarm_at(ended, seconds, clock)
        return alarm


@dataclass(slots=True)
class GapHistory:
    """Collects the gaps of a source, from the oldest to the newest.

    `silences_of_all`: when nothing came from any source, oldest first. They are no habit of the source.
    """

    seconds: OperationalClock
    clock: OperationalClock
    silences_of_all: Sequence[Period] = ()
    zeros: int = 0
    """The gaps between documents of the same hour."""
    gaps: list[float] = field(default_factory=list)
    """All others in seconds, sorted."""
    _beyond: list[float] = field(default_factory=list)
    """Those that were longer than the deadline of their time, in operational hours, sorted."""
    _longest: float = 0.0
    since: float = math.inf
    """When there were enough gaps for an alarm."""

    @property
    def count(self) -> int:
        return len(self.gaps) + self.zeros

    def add_documents(self, documents: int) -> None:
        """Add the documents of one hour."""
        self.zeros += documents - 1

    def add_gap(self, began: float, ended: float) -> None:
        """Add the gap between two hours with documents."""
        gap, span = self.seconds.between(began, ended), self.clock.between(began, ended)
        if self.count >= MIN_GAPS:
            self.since = min(self.since, began)
            if gap > self._deadline() and not _overlaps(self.silences_of_all, began, ended):
                insort(self._beyond, span)
        insort(self.gaps, max(0.0, gap))
        self._longest = max(self._longest, span)

    def limits(self, now: float, known_since: float, false_alarms: int) -> SilenceLimits:
        """Return the limits that hold at the newest document (`now`).

        `known_since`: since when the source can have alarms. `false_alarms`: how many it has had.
        """
        return SilenceLimits(
            deadline=self._deadline(),
            habit=self._habit(max(0.0, now - self.since) / MONTH),
            longest=self._longest,
            not_before=known_since + (false_alarms + 1) * MONTH if false_alarms else -math.inf,
            early_after=known_since + (false_alarms + 2) * MONTH,
        )

    def _deadline(self) -> float:
        long_gap = quantile(self.gaps, self.zeros, 0.95)
        return max(_PROMISED_SECONDS, _PROMISED_GAPS * long_gap) - _ROLL_UP_SECONDS

    def _habit(self, months: float) -> float | None:
        if len(self._beyond) <= max(1, _HABIT_A_MONTH * months):
            return None
        return self._beyond[-max(1, int(months))]


def _place(periods: Sequence[Period], time: float) -> int:
    """Return the number of the first period that ends after a time."""
    return bisect_right(periods, time, key=lambda period: period[1])


def _overlaps(periods: Sequence[Period], began: float, ended: float) -> bool:
    place = _place(periods, began)
    return place < len(periods) and periods[place][0] < ended
