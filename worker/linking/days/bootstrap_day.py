"""What the linker knows on a bootstrap day (see `idf_basis.py`), and when it links the day's articles again."""

from __future__ import annotations

import time

from worker.linking.texts.features import Features
from worker.linking.texts.frequencies import Frequencies

_QUIET_SECONDS = 0.5
_MAX_QUIET_SECONDS = 15.0
_PASS_SHARE = 20  # while arrivals do not pause, linking the day's articles again takes at most about 1/20 of the time


class BootstrapDay:
    """The frequencies known so far. The index weighs features with them until `add` or `recount` changes the weights.

    `frequencies` belong to this object from now on.
    """

    def __init__(self, frequencies: Frequencies) -> None:
        self.frequencies = frequencies
        self._weighted_documents = frequencies.documents
        self._pass_seconds = 0.0
        self._arrived_at = self._ended_at = time.monotonic()

    def add(self, features: Features) -> bool:
        """Count articles that were linked provisionally. Return whether the weights must be set again.

        They are set whenever the number of documents has doubled, so rebuilding the index costs little in all.
        """
        self.frequencies.add(features)
        if self.frequencies.documents < 2 * self._weighted_documents:
            return False
        self._weighted_documents = self.frequencies.documents
        return True

    def recount(self, frequencies: Frequencies) -> None:
        """Replace the frequencies by exact ones."""
        self.frequencies = frequencies
        self._weighted_documents = frequencies.documents

    def record_arrival(self) -> None:
        """Note that articles of this day have just arrived or changed."""
        self._arrived_at = time.monotonic()

    def record_pass(self, seconds: float) -> None:
        """Note that all articles of the day have just been linked again, which took `seconds`."""
        self._pass_seconds, self._ended_at = seconds, time.monotonic()

    def is_due(self) -> bool:
        """Whether to link the day's articles again: arrivals have paused, or the last time was long ago."""
        now = time.monotonic()
        pause = _QUIET_SECONDS + min(2 * self._pass_seconds, _MAX_QUIET_SECONDS)
        return now - self._arrived_at > pause or now - self._ended_at > 1 + _PASS_SHARE * self._pass_seconds
