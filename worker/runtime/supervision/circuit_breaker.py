"""The circuit breaker: pauses a lane with too many crashes or rejections (a bad deploy, a faulty crawler).

Only an operator closes it again (`copydesk lane resume`). Closing it automatically would reject hundreds of documents
again and again, at night too. Waiting costs nothing, because a paused lane keeps its entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from worker.activity.minute_counters import Minute, total
from worker.settings import Settings


def trip_reason(minutes: Iterable[Minute], lane: str, config: Settings, *, resumed: float = -1) -> str | None:
    """Return why `lane` must be paused, as a sentence; None if it need not.

    Counts those of `minutes` that are among the last `breaker_minutes` and began after `resumed` (seconds since 1970),
    when an operator resumed the lane.
    """
    window = total(minute for minute in list(minutes)[-config.breaker_minutes :] if minute.at > resumed)
    span = f"in {config.breaker_minutes} minutes"
    documents = window.documents(lane)
    rejected = sum(n for (on, _, what), n in window.outcomes.items() if on == lane and what == "rejected")
    if documents >= config.breaker_documents and rejected > config.breaker_share * documents:
        return f"{rejected:,} of {documents:,} documents were rejected {span}{_most_frequent(window, lane)}"
    crashes, batches = window.deaths[lane], window.batches[lane]
    if crashes >= config.breaker_deaths and crashes > config.breaker_share * (crashes + batches):
        return f"{crashes:,} pool processes crashed {span}, {batches:,} batches were finished{_most_frequent(window, lane)}"
    return None


def _most_frequent(window: Minute, lane: str) -> str:
    """Return the most frequent problem codes and the source with most of them, as text to append."""
    codes, sources = Counter[str](), Counter[str]()
    for (on, source, code), count in window.codes.items():
        if on == lane:
            codes[code] += count
            sources[source] += count
    if not codes:
        return ""
    named = ", ".join(f"{code} {count:,}" for code, count in codes.most_common(3))
    source, count = sources.most_common(1)[0]
    return f" ({named}; most from {source}: {count:,})"
