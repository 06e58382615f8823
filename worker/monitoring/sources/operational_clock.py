"""A clock for sources with a weekly rhythm: an hour in which a source seldom sends counts little. Pure: no I/O.

Time-rescaling turns a process with a weekly rhythm into one without (Brown et al., Neural Computation 14, 2002).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from worker.monitoring.sources.hours import HOUR, WEEK_HOURS
from worker.monitoring.sources.standstills import Period


class OperationalClock:
    """Time in which each hour of the week counts by a weight, and standstills (oldest first) do not count."""

    def __init__(self, weights: Sequence[float], standstills: Sequence[Period] = ()) -> None:
        self._weights = weights
        self._standstills = standstills
        self._ends = [ended for _, ended in standstills]
        self._sums = [0.0, *accumulate(weights)]

    @classmethod
    def of_seconds(cls, standstills: Sequence[Period]) -> OperationalClock:
        """Return a clock that counts seconds, without those of standstills."""
        return cls((float(HOUR),) * WEEK_HOURS, standstills)

    def at(self, time: float) -> float:
        """Return the sum of the weights from 1970 to `time`."""
        weeks, hours = divmod(time / HOUR, WEEK_HOURS)
        number = min(int(hours), WEEK_HOURS - 1)
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
        number = min(bisect_right(self._sums, rest) - 1, WEEK_HOURS - 1)
        return (weeks * WEEK_HOURS + number + (rest - self._sums[number]) / self._weights[number]) * HOUR
