"""Chooses the documents whose frequencies weigh the features of a day's articles.

Normally these are the documents of *completed days of arrival*, whose frequencies are in the store. So neither the
order within a day nor a restart changes a result. A *bootstrap day* brings more documents than all days before it (the
first day, or a new collection). On such a day all documents that have arrived so far are counted, and the day's
articles are linked again whenever arrivals pause. So the result depends on which documents arrived, not on their order.
"""

from __future__ import annotations

from datetime import date, timedelta

from worker.linking.texts.frequencies import Frequencies

MIN_DOCUMENTS = 1000
"""The smallest number of completed documents that shows how common a word is."""
DAYS = 90
"""How many days count. Older ones are ignored, because common words change."""


class IdfBasis:
    """The frequencies for one day of arrival. `completed` counts the documents of earlier days."""

    def __init__(self, day: date, completed: Frequencies) -> None:
        self.day = day
        self.completed = completed

    def is_bootstrap(self, arrived_today: int) -> bool:
        """Whether the completed days have fewer documents than `MIN_DOCUMENTS` or than today's `arrived_today`."""
        return self.completed.documents < max(MIN_DOCUMENTS, arrived_today)

    def with_today(self, today: Frequencies) -> Frequencies:
        """Return the frequencies for a bootstrap day: those of the completed days are added to `today`.

        `today` is changed, because a copy would take 16 MB.
        """
        today.merge(self.completed)
        return today

    def oldest_day(self) -> date:
        """Return the first day that counts."""
        return self.day - timedelta(days=DAYS)
