"""The hours in which a source sent documents, and what it sends on average in each hour of the week. Pure: no I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

HOUR = 3600
MONTH = 30 * 24 * HOUR
WEEK_HOURS = 168
_WEEKLY_WINDOW = 56 * 24 * HOUR
_MIN_HOURS = 30
"""If fewer hours with documents lie in the last eight weeks, all hours count."""
_PRIOR_WEEKS = 4
_LEAST_WEIGHT = 0.01


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour in which documents arrived. All times are in seconds since 1970."""

    at: int
    """When the hour begins."""
    documents: int
    first: float
    last: float


def quantile(ranked: Sequence[float], zeros: int, share: float) -> float:
    """Return a quantile of `zeros` numbers that are zero and the numbers `ranked`, which are sorted."""
    place = math.ceil(share * (len(ranked) + zeros)) - 1 - zeros
    return ranked[place] if place >= 0 else 0.0


def weekly_activity(hours: Sequence[Hour]) -> tuple[float, ...]:
    """Return for each hour of the week the share of weeks in which the source sent documents in it.

    The first one is Thursday 00:00 UTC, as Unix time begins on a Thursday.
    """
    return _weekly_means(hours, [1.0] * len(hours), most=1.0)


def weekly_documents(hours: Sequence[Hour]) -> tuple[float, ...]:
    """Return the documents that are expected in each hour of the week. Of a burst only a part counts: as many documents as
    in 19 of 20 hours.
    """
    most = quantile(sorted(float(hour.documents) for hour in hours), 0, 0.95)
    return _weekly_means(hours, [min(float(hour.documents), most) for hour in hours])


def _weekly_means(hours: Sequence[Hour], amounts: Sequence[float], most: float = math.inf) -> tuple[float, ...]:
    """Return the mean amount in each hour of the week, over the last eight weeks, or all if they had few documents.

    Where there are few weeks, the mean of the hour of the day counts more, and where there are few days, the mean of all
    hours.
    """
    last = hours[-1].last
    recent = [number for number, hour in enumerate(hours) if hour.at >= last - _WEEKLY_WINDOW]
    numbers = recent if len(recent) >= _MIN_HOURS else range(len(hours))
    span = max(1.0, (last - hours[numbers[0]].at) / HOUR)
    by_day, by_week = [0.0] * 24, [0.0] * WEEK_HOURS
    for number in numbers:
        place = hours[number].at // HOUR
        by_day[place % 24] += amounts[number]
        by_week[place % WEEK_HOURS] += amounts[number]
    mean = sum(by_day) / span
    days, weeks = span / 24, span / WEEK_HOURS
    daily = [(amount + mean * _PRIOR_WEEKS) / (days + _PRIOR_WEEKS) for amount in by_day]
    return tuple(
        min(most, max(_LEAST_WEIGHT * mean, (amount + daily[place % 24] * _PRIOR_WEEKS) / (weeks + _PRIOR_WEEKS)))
        for place, amount in enumerate(by_week)
    )
