"""Which documents' frequencies weigh the words of a day's articles.

Those of the *completed days of arrival*, kept in the store: then the order within a day changes nothing, and a restart
neither. A day that brings more than all days before it (the first one, a new collection) has no such past worth the
name; on it everything that has arrived until now is counted, and the day's articles are linked again when the arrivals
pause: then, too, only what has arrived matters, not in which order.
"""

from __future__ import annotations

from datetime import date, timedelta

from worker.linking.frequencies import Frequencies

LEAST_DOCUMENTS = 1000
"""Fewer completed documents say too little of how common a word is."""
DAYS = 90
"""Older days are forgotten: what is common changes."""


class IdfBasis:
    """The frequencies for one day of arrival. `completed` are those of earlier days."""

    def __init__(self, day: date, completed: Frequencies) -> None:
        self.day = day
        self.completed = completed

    def is_bootstrap(self, arrived_today: int) -> bool:
        """Whether the past is too small beside what the day brings."""
        return self.completed.documents < max(LEAST_DOCUMENTS, arrived_today)

    def with_today(self, today: Frequencies) -> Frequencies:
        """The frequencies for a cold day."""
        both = self.completed.copy()
        both.merge(today)
        return both

    def oldest_day(self) -> date:
        """The first day that still counts."""
        return self.day - timedelta(days=DAYS)
