"""Whether the rejected share of a source's newest documents is too high, by the setting or by what is usual. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from worker.activity.minute_counters import Minute
from worker.monitoring.sources.alarm import SourceAlarm
from worker.settings import INTERNAL_LANE

RECENT_MINUTES = 5
"""Minutes whose counters are judged. The alarms of the store, which know the usual share, take over before they end."""
_MIN_REJECTED = 5
_NEWEST = 50
"""The newest documents of a source that are judged, about: a source is good again after so many good ones."""
_CHANCE_OVER_SETTING = 0.02
"""How probable the share must not be for a source whose true share is the setting: six of twelve are enough for 0.2."""
_CHANCE_UNUSUAL = 1e-4
_MIN_RISE = 0.05
_LEAST_SHARE = 0.005


def is_alarming(
    documents: float, rejected: float, *, setting: float, usual: float | None, is_raised: bool = False
) -> bool:
    """Return whether so many of a source's newest documents are rejected that it cannot be chance.

    The test is the exact one-sided binomial test, against the setting, and against the usual share where it is known.
    `is_raised`: the alarm is raised already. Then it lasts as long as the share is too high, so that it does not come and go.
    """
    count, bad = round(documents), round(rejected)
    if bad < _MIN_REJECTED or not count:
        return False
    share = bad / count
    if share > setting and (is_raised or tail(count, bad, setting) < _CHANCE_OVER_SETTING):
        return True
    if usual is None or share < usual + _MIN_RISE:
        return False
    return is_raised or tail(count, bad, max(usual, _LEAST_SHARE)) < _CHANCE_UNUSUAL


def tail(count: int, least: int, share: float) -> float:
    """Return the probability of `least` or more of `count` independent events of probability `share`."""
    if share >= 1 or least <= 0:
        return 1.0
    log_yes, log_no = math.log(share), math.log1p(-share)
    total = 0.0
    for number in range(least, count + 1):
        ways = math.lgamma(count + 1) - math.lgamma(number + 1) - math.lgamma(count - number + 1)
        term = math.exp(ways + number * log_yes + (count - number) * log_no)
        total += term
        if number > count * share and term < total * 1e-9:
            break
    return min(1.0, total)


def rejection_alarms(minutes: Sequence[Minute], setting: float) -> list[SourceAlarm]:
    """Return the sources whose newest documents in `minutes` (oldest first) are rejected more often than `setting`.

    Of each source about 50 documents are judged, in whole minutes, so that a source is good again when its newest
    documents are. The alarms of the store, which know the usual share, take over after about a minute.
    """
    counts: dict[str, tuple[int, int]] = {}
    alarms: dict[str, SourceAlarm] = {}
    for minute in reversed(minutes):
        for source, (documents, rejected) in _by_source(minute).items():
            before, bad = counts.get(source, (0, 0))
            if before >= _NEWEST:
                continue
            counts[source] = all_, rejected_in_all = before + documents, bad + rejected
            if is_alarming(all_, rejected_in_all, setting=setting, usual=None):
                alarms[source] = SourceAlarm(
                    kind="rejected", source=source, since=minute.at, documents=all_, rejected=rejected_in_all
                )
    return [alarms[source] for source in sorted(alarms)]


def _by_source(minute: Minute) -> dict[str, tuple[int, int]]:
    counts: dict[str, tuple[int, int]] = {}
    for (lane, source, outcome), count in minute.outcomes.items():
        if lane != INTERNAL_LANE:
            documents, rejected = counts.get(source, (0, 0))
            counts[source] = documents + count, rejected + (count if outcome == "rejected" else 0)
    return counts
