"""Whether a source sends far less than it should, by the same hours of the four weeks before. Pure: no I/O."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from worker.monitoring.sources.hours import HOUR, Hour
from worker.monitoring.sources.standstills import Period

_DAY = 24 * HOUR
_DAYS = 28
_MIN_DAYS = 14
_MIN_DOCUMENTS = 20
"""A source whose poorest day had fewer documents raises nothing: small numbers vary too much."""
_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Volume:
    """The documents of the last 24 hours, and of the poorest of the days before that end at the same hour."""

    received: int
    poorest: int
    days: int

    @property
    def is_low(self) -> bool:
        """Whether the source sends far less than ever before: less than half of its poorest day of four weeks.

        The order statistic needs no assumption about bursts, weekends or trends within the four weeks.
        """
        return self.days >= _MIN_DAYS and self.poorest >= _MIN_DOCUMENTS and self.received < _SHARE * self.poorest


def volume(hours: Sequence[Hour], now: float, standstills: Sequence[Period] = ()) -> Volume:
    """Return the volume at the last full hour before `now` (seconds since 1970). `hours`: oldest first.

    A day in which Copydesk stood still is not compared. If the last one is such a day, nothing is (`days` is 0).
    """
    end = int(now // HOUR) * HOUR
    starts = [hour.at for hour in hours]
    sums = [0, *accumulate(hour.documents for hour in hours)]

    def between(since: int, until: int) -> int:
        return sums[bisect_left(starts, until)] - sums[bisect_left(starts, since)]

    def is_whole(until: int) -> bool:
        return not any(began < until and ended > until - _DAY for began, ended in standstills)

    first = hours[0].at if hours else end
    days = min(_DAYS, max(0, (end - _DAY - first) // _DAY)) if is_whole(end) else 0
    ends = [end - day * _DAY for day in range(1, days + 1)]
    before = [between(until - _DAY, until) for until in ends if is_whole(until)]
    return Volume(between(end - _DAY, end), min(before, default=0), len(before))
