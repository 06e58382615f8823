"""The circuit breaker: pauses what causes too many crashes or rejections (a bad deploy, a faulty crawler).

It pauses the sources that cause the rejections of a lane if they are few, and otherwise the lane. Only an operator closes
it again (`copydesk lane resume`). Closing it automatically would reject hundreds of documents again and again, at night
too. Waiting costs nothing, because a paused lane or source keeps its entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from worker.activity.minute_counters import Minute, is_whole_name, total
from worker.settings import Settings

_MAX_SOURCES = 3
"""If more sources than these cause the rejections, the cause is the lane (or Copydesk), which is then paused."""
_MIN_SHARE = 0.05
"""Share of `breaker_documents`. Fewer documents of a source, or of all others, show nothing."""


@dataclass(frozen=True, slots=True)
class Trip:
    """What must be paused, and why (a sentence): these sources of the lane, or the lane itself if there are none."""

    why: str
    sources: tuple[str, ...] = ()


def trip(
    minutes: Iterable[Minute],
    lane: str,
    config: Settings,
    *,
    resumed: float = -1,
    ignored: Mapping[str, float] = MappingProxyType({}),
) -> Trip | None:
    """Return what must be paused; None if nothing must.

    Counts those of `minutes` that are among the last `breaker_minutes` and began after `resumed` (seconds since 1970),
    when an operator resumed the lane. `ignored`: source → the same for its documents alone.
    """
    window = [minute for minute in list(minutes)[-config.breaker_minutes :] if minute.at > resumed]
    documents, rejected = _by_source(window, lane, ignored)
    span = f"in {config.breaker_minutes} minutes"
    if documents.total() >= config.breaker_documents and rejected.total() > config.breaker_share * documents.total():
        sources = _causes(documents, rejected, config)
        count, of = (
            (sum(counts[source] for source in sources) if sources else counts.total())
            for counts in (rejected, documents)
        )
        return Trip(
            f"{count:,} of {of:,} documents were rejected {span}{_most_frequent(window, lane, sources)}", sources
        )
    sums = total(window)
    crashes, batches = sums.deaths[lane], sums.batches[lane]
    if crashes >= config.breaker_deaths and crashes > config.breaker_share * (crashes + batches):
        frequent = _most_frequent(window, lane, ())
        return Trip(f"{crashes:,} pool processes crashed {span}, {batches:,} batches were finished{frequent}")
    return None


def _by_source(window: Iterable[Minute], lane: str, ignored: Mapping[str, float]) -> tuple[Counter[str], Counter[str]]:
    """Return source → documents of the lane, and source → rejected ones."""
    documents, rejected = Counter[str](), Counter[str]()
    for minute in window:
        for (on, source, outcome), count in minute.outcomes.items():
            if on == lane and minute.at > ignored.get(source, -1):
                documents[source] += count
                rejected[source] += count if outcome == "rejected" else 0
    return documents, rejected


def _causes(documents: Counter[str], rejected: Counter[str], config: Settings) -> tuple[str, ...]:
    """Return the sources without which the lane is well; empty if they are many, or not known by their whole names."""
    few, share = _MIN_SHARE * config.breaker_documents, config.breaker_share
    causes = [name for name, count in documents.items() if count >= few and rejected[name] > share * count]
    rest = documents.total() - sum(documents[name] for name in causes)
    rest_rejected = rejected.total() - sum(rejected[name] for name in causes)
    is_rest_well = rest < few or rest_rejected <= share * rest
    is_known = len(causes) <= _MAX_SOURCES and all(map(is_whole_name, causes))
    return tuple(sorted(causes)) if is_rest_well and is_known else ()


def _most_frequent(window: Iterable[Minute], lane: str, sources: tuple[str, ...]) -> str:
    """Return the most frequent problem codes and the source with most of them, as text to append."""
    codes, by_source = Counter[str](), Counter[str]()
    for minute in window:
        for (on, source, code), count in minute.codes.items():
            if on == lane and (not sources or source in sources):
                codes[code] += count
                by_source[source] += count
    if not codes:
        return ""
    named = ", ".join(f"{code} {count:,}" for code, count in codes.most_common(3))
    source, count = by_source.most_common(1)[0]
    return f" ({named}; most from {source}: {count:,})"
